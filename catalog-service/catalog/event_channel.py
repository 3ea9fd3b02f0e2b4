"""The channel of the outbox that reports events to orders-service, which tells webhooks of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from catalog.clients import OrdersClient
from shared.courier import Send
from shared.errors import ServiceUnreachable
from shared.outbox import Attempt, Message, Verdict

CHANNEL = "event"


class EventChannel:
    """Reports events, each until orders-service has accepted it."""

    rate: int | None = None
    patience: timedelta | None = None
    erases_secrets = False

    def __init__(self, orders: OrdersClient) -> None:
        self._orders = orders

    @contextmanager
    def open(self, endpoint: str) -> Iterator[Send]:  # noqa: ARG002  # There is one.
        """Return what reports an event."""
        yield self._send

    def give_up(self, endpoint: str) -> None:
        """Do nothing: orders-service is never switched off."""

    def _send(self, message: Message) -> Attempt:
        try:
            status = self._orders.report_event(
                message.id, message.kind, message.created_at, message.subject, message.data
            )
        except ServiceUnreachable as error:
            return Attempt(Verdict.UNREACHABLE, {"error": error.detail})
        if status == 204:
            return Attempt(Verdict.SENT, {"status": status})
        # For example a replica of the release before, which does not have the route.
        return Attempt(Verdict.FAILED, {"status": status, "error": f"orders-service answered {status}."})
