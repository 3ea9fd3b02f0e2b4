"""orders-service, which is told when a payment changed by itself."""

import logging
from collections import deque
from uuid import UUID

from shared.errors import Unavailable
from shared.service_calls import ServiceClient, ServiceTokens

log = logging.getLogger(__name__)

MOST_WAITING = 1000


class OrdersClient(ServiceClient):
    """Wakes orders, at best: one that is not told finds out by looking."""

    def __init__(self, base_url: str, tokens: ServiceTokens) -> None:
        super().__init__(base_url, tokens, timeout=(0.3, 1.0), retries=0)
        # The oldest make room: they are the ones that will be looked at soonest.
        self._waiting: deque[UUID] = deque(maxlen=MOST_WAITING)

    def wake(self, order_id: UUID) -> None:
        """Have the order told soon; this does not wait."""
        self._waiting.append(order_id)

    def deliver(self) -> None:
        """Tell all that are waiting, each once."""
        while self._waiting:
            order_id = self._waiting.popleft()
            try:
                answer = self.request("POST", f"/internal/orders/{order_id}/wake")
            except Unavailable:
                log.info("The order could not be woken", extra={"order.id": str(order_id)})
                continue
            if answer.status_code != 204:
                log.warning(
                    "The order was not woken",
                    extra={"order.id": str(order_id), "http.response.status_code": answer.status_code},
                )
