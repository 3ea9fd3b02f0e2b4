"""The payment providers, behind one interface."""

from typing import Protocol

from payments import repository
from payments.domain import Charge, Payment
from shared.database import Database

# What the simulated provider knows, in the names of Stripe's test cards, and why it declines one.
SIMULATED_METHODS: dict[str, str | None] = {
    "pm_card_visa": None,
    "pm_card_chargeDeclined": "generic_decline",
}


class Provider(Protocol):
    """Somebody who moves money when asked.

    Every call is idempotent by the payment's id and answers with the charge as it stands after it. Where no
    answer comes it raises ProviderUnavailable, and the call may or may not have taken effect.
    """

    name: str

    def accepts(self, payment_method: str) -> bool:
        """Tell whether it is worth asking with this payment method."""

    def authorize(self, payment: Payment) -> Charge:
        """Hold the money, unless the bank says no."""

    def capture(self, payment: Payment) -> Charge:
        """Take the money that is held."""

    def release(self, payment: Payment) -> Charge:
        """Give back what is held, or what was taken."""


class SimulatedProvider:
    """A provider that moves no money.

    It keeps its book as an outside provider would: in tables and transactions of its own, that know nothing
    of ours.
    """

    name = "simulated"

    def __init__(self, database: Database) -> None:
        self._database = database

    def accepts(self, payment_method: str) -> bool:
        """Tell whether it knows the payment method."""
        return payment_method in SIMULATED_METHODS

    def authorize(self, payment: Payment) -> Charge:
        """Write the charge into the book, once for a payment."""
        key = str(payment.id)
        with self._database.transaction() as connection:
            repository.insert_charge(connection, key, payment, SIMULATED_METHODS[payment.payment_method])
            return repository.read_charge(connection, key)

    def capture(self, payment: Payment) -> Charge:
        """Take the money, unless the charge was declined or released."""
        key = str(payment.id)
        with self._database.transaction() as connection:
            repository.capture_charge(connection, key)
            return repository.read_charge(connection, key)

    def release(self, payment: Payment) -> Charge:
        """Give all of it back, once for a payment."""
        key = str(payment.id)
        with self._database.transaction() as connection:
            repository.release_charge(connection, key)
            return repository.read_charge(connection, key)
