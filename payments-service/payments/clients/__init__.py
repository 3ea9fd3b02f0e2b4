"""The interface of the payment providers."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from payments.domain.payments import Change, Charge, Outcome, Payment, Refund

TIMEOUT = 3.0  # Seconds for all requests of one call to the provider together.

# Stores the provider's id of a payment and returns the stored id. Raises PaymentClosed.
SaveReference = Callable[[str], str]


@dataclass(frozen=True)
class Notice:
    """The id of an event, and the provider's id of its payment; None if it concerns no payment."""

    event_id: str
    reference: str | None


class EventReader(Protocol):
    """A reader of the events that a provider sends."""

    def read(self, body: bytes, signature: str) -> Notice:
        """Return the notice in an event; raise BadNotice unless the provider signed it recently."""


class Provider(Protocol):
    """A payment provider.

    Every call is idempotent and returns the charge after it. Without a response within TIMEOUT a call raises
    ProviderUnavailable, and may or may not have taken effect.
    """

    name: str

    def accepts(self, payment_method: str) -> bool:
        """Return False if the provider is known to refuse the payment method."""

    def authorize(self, payment: Payment, save_reference: SaveReference) -> Charge:
        """Hold the money, unless the bank declines or requires authentication.

        A provider with its own payment ids calls `save_reference` before it can hold any money.
        """

    def confirm(self, payment: Payment, outcome: Outcome) -> Charge:
        """Continue after the customer has answered the bank."""

    def capture(self, payment: Payment) -> Charge:
        """Capture the held money; raise CaptureFailed if the provider refuses permanently."""

    def capture_batch(self, payments: Iterable[Payment]) -> Mapping[UUID, Charge]:
        """Capture as many of these payments as one call can; return their charges by payment id.

        The caller captures the others one by one.
        """

    def release(self, payment: Payment) -> Charge:
        """Return all held or captured money, and never hold any again."""

    def refund(self, payment: Payment, refund: Refund) -> None:
        """Refund an amount, once per refund id; raise RefundFailed if the provider refuses permanently."""

    def find(self, payment: Payment) -> Charge | None:
        """Return the current charge, or None if the provider has none."""

    def read_changes(self, since: datetime, until: datetime) -> Iterator[Change]:
        """Return at least all charges that changed in this interval, newest first, possibly repeated."""
