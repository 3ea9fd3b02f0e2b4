"""The client of orders-service, which payments-service notifies of changed payments."""

import logging
from collections import deque
from uuid import UUID

from shared.errors import Unavailable
from shared.service_calls import ServiceClient, ServiceTokens

log = logging.getLogger(__name__)

MOST_WAITING = 1000


class OrdersClient(ServiceClient):
    """Wakes orders on a best-effort basis; orders-service polls the payments of the others."""

    def __init__(self, base_url: str, tokens: ServiceTokens) -> None:
        super().__init__(base_url, tokens, timeout=(0.3, 1.0), retries=0)
        # A full queue drops its oldest orders, because orders-service polls those first.
        self._waiting: deque[UUID] = deque(maxlen=MOST_WAITING)

    def wake(self, order_id: UUID) -> None:
        """Queue an order to be woken; this does not block."""
        self._waiting.append(order_id)

    def deliver(self) -> None:
        """Wake each queued order, with one attempt."""
        while self._waiting:
            order_id = self._waiting.popleft()
            try:
                answer = self.request("POST", f"/internal/orders/{order_id}/wake")
            except Unavailable:
                log.info(
                    "The order could not be woken: orders-service is unavailable",
                    extra={"order.id": str(order_id)},
                )
                continue
            if answer.status_code != 204:
                log.warning(
                    "orders-service refused to wake the order",
                    extra={"order.id": str(order_id), "http.response.status_code": answer.status_code},
                )
