"""A provider that moves no money, and can show every fault that a real one has."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from payments.clients import PATIENCE, Remember
from payments.domain import Change, Charge, Outcome, Payment, Refund
from payments.errors import CaptureFailed, ProviderUnavailable, RefundFailed
from payments.repository import book
from shared.database import Connection, Database

T = TypeVar("T")

# Receives an event's id and the payment that it is about, as a webhook would.
Notify = Callable[[str, UUID], None]

# What it knows, in the names of Stripe's test cards, and why it declines one.
CARDS: dict[str, str | None] = {
    "pm_card_visa": None,
    "pm_card_chargeDeclined": "generic_decline",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
}
ASKS_THE_CUSTOMER = "pm_card_authenticationRequired"
REFUSES_CAPTURE = "pm_fault_captureRefused"

EVERY_STEP = frozenset({"authorize", "capture", "release", "refund"})


@dataclass(frozen=True)
class Fault:
    """What goes wrong the first time that a step of a charge is asked for; asked again, it goes well."""

    takes_effect: bool
    answers: bool
    seconds: float = 0.0
    steps: frozenset[str] = EVERY_STEP


FAULTS = {
    # Later than orders waits for an answer, and sooner than we give up on one.
    "pm_fault_late": Fault(takes_effect=True, answers=True, seconds=2.5, steps=frozenset({"authorize"})),
    "pm_fault_never": Fault(False, False, seconds=PATIENCE, steps=frozenset({"authorize"})),
    "pm_fault_error500": Fault(takes_effect=False, answers=False),
    "pm_fault_chargedThenDropped": Fault(takes_effect=True, answers=False),
}
# The events that are sent once a step took effect, and before it is answered.
EVENTS: dict[str, dict[str, tuple[str, ...]]] = {
    "pm_fault_webhookTwice": {"authorize": ("held", "held"), "capture": ("taken", "taken")},
    "pm_fault_webhookBeforeAnswer": {"authorize": ("held",), "capture": ("taken",)},
    "pm_fault_webhookOutOfOrder": {"capture": ("taken", "held")},
}
HEAD_START = {"pm_fault_webhookBeforeAnswer": 0.5}  # Seconds that an event is ahead of the answer.

METHODS = {*CARDS, ASKS_THE_CUSTOMER, REFUSES_CAPTURE, *FAULTS, *EVENTS}


class SimulatedProvider:
    """The simulated provider.

    It keeps its book as an outside provider would: in tables and transactions of its own, that know nothing
    of ours. Its key is the payment's id.
    """

    name = "simulated"

    def __init__(self, database: Database, notify: Notify = lambda _event, _payment: None) -> None:
        self._database = database
        self._notify = notify

    def accepts(self, payment_method: str) -> bool:
        """Tell whether it knows the payment method."""
        return payment_method in METHODS

    def authorize(self, payment: Payment, remember: Remember) -> Charge:  # noqa: ARG002  # It has no other id.
        """Write the charge into the book, once for a payment."""
        decline_code = CARDS.get(payment.payment_method)
        awaits_customer = payment.payment_method == ASKS_THE_CUSTOMER
        return self._take(
            "authorize",
            payment,
            lambda connection: book.insert_charge(
                connection, payment, decline_code, awaits_customer=awaits_customer
            ),
        )

    def confirm(self, payment: Payment, outcome: Outcome) -> Charge:
        """Let the charge go on as the customer wants it."""
        decline_code = None if outcome is Outcome.APPROVED else "authentication_failed"
        with self._database.transaction() as connection:
            return book.answer_bank(connection, payment, decline_code)

    def capture(self, payment: Payment) -> Charge:
        """Take the money, unless the charge was declined or released."""
        if payment.payment_method == REFUSES_CAPTURE:
            raise CaptureFailed("capture_refused")
        return self._take("capture", payment, lambda connection: book.capture_charge(connection, payment))

    def capture_together(self, payments: Iterable[Payment]) -> Mapping[UUID, Charge]:
        """Take the money of all that nothing is to go wrong with."""
        plain = [payment for payment in payments if payment.payment_method in CARDS]
        if not plain:
            return {}
        with self._database.autocommit() as connection:
            return book.capture_charges(connection, plain)

    def release(self, payment: Payment) -> Charge:
        """Give all of it back, once for a payment."""
        return self._take("release", payment, lambda connection: book.release_charge(connection, payment))

    def refund(self, payment: Payment, refund: Refund) -> None:
        """Give a part back, once for a refund."""
        if not self._take(
            f"refund:{refund.id}",
            payment,
            lambda connection: book.refund_charge(connection, payment, refund),
        ):
            raise RefundFailed("charge_already_refunded")

    def find(self, payment: Payment) -> Charge | None:
        """Look the charge up."""
        with self._database.transaction() as connection:
            return book.find_charge(connection, payment)

    def read_changes(self, since: datetime, until: datetime) -> Iterator[Change]:
        """Return the charges that were asked for in this time."""
        with self._database.transaction() as connection:
            changes = book.read_charges(connection, since, until)
        yield from changes

    def _take(self, step: str, payment: Payment, act: Callable[[Connection], T]) -> T:
        """Take a step in the book, with whatever goes wrong by this payment method."""
        fault = FAULTS.get(payment.payment_method)
        kind = step.partition(":")[0]
        is_one_statement = fault is None and kind != "refund"
        begin = self._database.autocommit if is_one_statement else self._database.transaction
        with begin() as connection:
            if fault and not (kind in fault.steps and book.show_fault(connection, payment, step)):
                fault = None
            result = act(connection) if fault is None or fault.takes_effect else None
        if fault:
            time.sleep(fault.seconds)
        if result is None or (fault and not fault.answers):
            raise ProviderUnavailable
        for event in EVENTS.get(payment.payment_method, {}).get(kind, ()):
            self._notify(f"{payment.id}:{event}", payment.id)
            time.sleep(HEAD_START.get(payment.payment_method, 0.0))
        return result
