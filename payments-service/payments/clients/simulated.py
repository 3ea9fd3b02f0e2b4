"""A provider that moves no money, and can simulate every fault of a real provider."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from payments.clients import TIMEOUT, SaveReference
from payments.domain.payments import Change, Charge, Outcome, Payment, Refund
from payments.errors import CaptureFailed, ProviderUnavailable, RefundFailed
from payments.repository import charge_records
from shared.database import Connection, Database

T = TypeVar("T")

# Receives an event id and a payment id, as a webhook would.
Notify = Callable[[str, UUID], None]

# The cards with their decline codes. The names are those of Stripe's test cards.
CARDS: dict[str, str | None] = {
    "pm_card_visa": None,
    "pm_card_chargeDeclined": "generic_decline",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
}
AUTHENTICATION_REQUIRED = "pm_card_authenticationRequired"
CAPTURE_REFUSED = "pm_fault_captureRefused"

ALL_STEPS = frozenset({"authorize", "capture", "release", "refund"})


@dataclass(frozen=True)
class Fault:
    """A fault on the first attempt of a step of a charge; the second attempt succeeds."""

    takes_effect: bool
    answers: bool
    seconds: float = 0.0
    steps: frozenset[str] = ALL_STEPS


FAULTS = {
    # The delay exceeds the timeout of orders-service, but not the one of this service.
    "pm_fault_late": Fault(takes_effect=True, answers=True, seconds=2.5, steps=frozenset({"authorize"})),
    "pm_fault_never": Fault(False, False, seconds=TIMEOUT, steps=frozenset({"authorize"})),
    "pm_fault_error500": Fault(takes_effect=False, answers=False),
    "pm_fault_chargedThenDropped": Fault(takes_effect=True, answers=False),
}
# The events that the provider sends after a step has taken effect and before its response.
EVENTS: dict[str, dict[str, tuple[str, ...]]] = {
    "pm_fault_webhookTwice": {"authorize": ("held", "held"), "capture": ("taken", "taken")},
    "pm_fault_webhookBeforeAnswer": {"authorize": ("held",), "capture": ("taken",)},
    "pm_fault_webhookOutOfOrder": {"capture": ("taken", "held")},
}
HEAD_START = {"pm_fault_webhookBeforeAnswer": 0.5}  # Seconds between an event and the response.

METHODS = {*CARDS, AUTHENTICATION_REQUIRED, CAPTURE_REFUSED, *FAULTS, *EVENTS}


class SimulatedProvider:
    """The simulated provider.

    It stores charge records in separate tables and transactions, as an external provider would. The key of a
    charge is the payment id.
    """

    name = "simulated"

    def __init__(self, database: Database, notify: Notify = lambda _event, _payment: None) -> None:
        self._database = database
        self._notify = notify

    def accepts(self, payment_method: str) -> bool:
        """Return whether the payment method exists."""
        return payment_method in METHODS

    def authorize(self, payment: Payment, save_reference: SaveReference) -> Charge:  # noqa: ARG002  # The charge has the payment's id.
        """Insert the charge, once per payment."""
        decline_code = CARDS.get(payment.payment_method)
        awaits_customer = payment.payment_method == AUTHENTICATION_REQUIRED
        return self._perform(
            "authorize",
            payment,
            lambda connection: charge_records.insert_charge(
                connection, payment, decline_code, awaits_customer=awaits_customer
            ),
        )

    def confirm(self, payment: Payment, outcome: Outcome) -> Charge:
        """Apply the customer's answer to the bank."""
        decline_code = None if outcome is Outcome.APPROVED else "authentication_failed"
        with self._database.transaction() as connection:
            return charge_records.answer_bank(connection, payment, decline_code)

    def capture(self, payment: Payment) -> Charge:
        """Capture the money, unless the charge was declined or released."""
        if payment.payment_method == CAPTURE_REFUSED:
            raise CaptureFailed("capture_refused")
        return self._perform(
            "capture", payment, lambda connection: charge_records.capture_charge(connection, payment)
        )

    def capture_batch(self, payments: Iterable[Payment]) -> Mapping[UUID, Charge]:
        """Capture the payments without a simulated fault."""
        plain = [payment for payment in payments if payment.payment_method in CARDS]
        if not plain:
            return {}
        with self._database.autocommit() as connection:
            return charge_records.capture_charges(connection, plain)

    def release(self, payment: Payment) -> Charge:
        """Return all money, once per payment."""
        return self._perform(
            "release", payment, lambda connection: charge_records.release_charge(connection, payment)
        )

    def refund(self, payment: Payment, refund: Refund) -> None:
        """Refund an amount, once per refund id."""
        if not self._perform(
            f"refund:{refund.id}",
            payment,
            lambda connection: charge_records.refund_charge(connection, payment, refund),
        ):
            raise RefundFailed("charge_already_refunded")

    def find(self, payment: Payment) -> Charge | None:
        """Return the charge record."""
        with self._database.transaction() as connection:
            return charge_records.find_charge(connection, payment)

    def read_changes(self, since: datetime, until: datetime) -> Iterator[Change]:
        """Return the charges of the payments created in this interval."""
        with self._database.transaction() as connection:
            changes = charge_records.read_charges(connection, since, until)
        yield from changes

    def _perform(self, step: str, payment: Payment, act: Callable[[Connection], T]) -> T:
        """Perform a step, with the fault that the payment method selects."""
        fault = FAULTS.get(payment.payment_method)
        kind = step.partition(":")[0]
        is_one_statement = fault is None and kind != "refund"
        begin = self._database.autocommit if is_one_statement else self._database.transaction
        with begin() as connection:
            if fault and not (
                kind in fault.steps and charge_records.trigger_fault(connection, payment, step)
            ):
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
