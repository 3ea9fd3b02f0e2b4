"""The payment providers, behind one interface, and the service that is told of changes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from payments.domain import Change, Charge, Outcome, Payment, Refund

# Seconds after which a provider that has not answered is left to itself, whatever it was asked.
PATIENCE = 3.0

# Keeps the provider's own id for a payment, and returns the one that holds. Raises PaymentClosed.
Remember = Callable[[str], str]


@dataclass(frozen=True)
class Notice:
    """An event: its id, and the provider's id of the payment that it is about, if it is about one."""

    event_id: str
    reference: str | None


class EventReader(Protocol):
    """Somebody who reads the events that a provider sends."""

    def read(self, body: bytes, signature: str) -> Notice:
        """Return what an event is about; raise BadNotice unless the provider signed it a moment ago."""


class Provider(Protocol):
    """Somebody who moves money when asked.

    Every call is idempotent and answers with the charge as it stands after it. Where no answer comes within
    PATIENCE it raises ProviderUnavailable, and the call may or may not have taken effect.
    """

    name: str

    def accepts(self, payment_method: str) -> bool:
        """Tell whether it is worth asking with this payment method."""

    def authorize(self, payment: Payment, remember: Remember) -> Charge:
        """Hold the money, unless the bank says no or asks for the customer.

        If the provider has an id of its own for the payment, it is handed to `remember` before anything can
        be held.
        """

    def confirm(self, payment: Payment, outcome: Outcome) -> Charge:
        """Go on after the customer has answered the bank."""

    def capture(self, payment: Payment) -> Charge:
        """Take the money that is held; raise CaptureFailed if that is refused for good."""

    def capture_together(self, payments: Iterable[Payment]) -> Mapping[UUID, Charge]:
        """Take the money of all that can be taken by one call; return their charges by the payment's id.

        The others are captured one by one.
        """

    def release(self, payment: Payment) -> Charge:
        """Give back what is held, or what is left of what was taken, and hold nothing any more."""

    def refund(self, payment: Payment, refund: Refund) -> None:
        """Give a part back, once for a refund; raise RefundFailed if that is refused for good."""

    def find(self, payment: Payment) -> Charge | None:
        """Return the charge as it stands, or None if there is none."""

    def read_changes(self, since: datetime, until: datetime) -> Iterator[Change]:
        """Return the charges that something happened to in this time at least, newest first, some twice."""
