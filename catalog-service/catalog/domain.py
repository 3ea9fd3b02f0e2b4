"""Products, reservations and money as plain Python."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from uuid import UUID

from catalog.errors import ReservationClosed, ReservationConflict, ReservationLapsed

# How long stock is held for an order that is not paid.
HOLD = timedelta(minutes=15)

# Ids are integers that JavaScript's numbers hold exactly.
LARGEST_ID = 2**53

# Currencies without a minor unit (ISO 4217); all the others that a shop may have count in hundredths.
WITHOUT_MINOR_UNIT = frozenset({"JPY"})


@dataclass(frozen=True)
class Offer:
    """A product as its source describes it. Money is in minor units."""

    id: int
    sku: str
    title: str
    brand: str | None
    category: str
    unit_amount: int
    description: str
    rating: Decimal | None
    source_on_hand: int
    images: list[str]


@dataclass(frozen=True)
class Product:
    """A product that is for sale; `stock` is what can be sold now."""

    id: int
    sku: str
    title: str
    brand: str | None
    category: str
    unit_amount: int
    description: str
    rating: Decimal | None
    stock: int
    images: list[str]
    version: int
    updated_at: datetime


class State(StrEnum):
    """Where a reservation stands: held → committed or lapsed, any → released; closed if it never began."""

    HELD = "held"
    COMMITTED = "committed"
    RELEASED = "released"
    LAPSED = "lapsed"
    CLOSED = "closed"


@dataclass(frozen=True)
class Line:
    """So many of a product, at the price that it had when it was first held."""

    product_id: int
    sku: str
    title: str
    quantity: int
    unit_amount: int

    @property
    def amount(self) -> int:
        """Return the line's price in minor units."""
        return self.unit_amount * self.quantity


@dataclass(frozen=True)
class Reservation:
    """Stock set aside for an order; one that was closed before it began has no customer and no lines."""

    order_id: UUID
    customer: str | None
    currency: str | None
    state: State
    expires_at: datetime | None
    lines: tuple[Line, ...] = ()

    @property
    def quantities(self) -> dict[int, int]:
        """Return how many of each product are spoken of."""
        return {line.product_id: line.quantity for line in self.lines}

    def check_repeat(self, customer: str, quantities: Mapping[int, int]) -> None:
        """Raise ReservationClosed or ReservationConflict unless the same is asked for as before."""
        if self.state not in {State.HELD, State.LAPSED}:
            raise ReservationClosed
        if (self.customer, self.quantities) != (customer, quantities):
            raise ReservationConflict

    def check_commit(self) -> None:
        """Raise ReservationLapsed or ReservationClosed unless this is held, or was committed before."""
        if self.state is State.LAPSED:
            raise ReservationLapsed
        if self.state not in {State.HELD, State.COMMITTED}:
            raise ReservationClosed


@dataclass(frozen=True)
class SourceCopy:
    """How the copying stands: when it last succeeded, and what the source said if it failed since."""

    source: str | None
    copied_at: datetime | None
    failures: int
    error_status: int | None
    error_detail: str | None


def to_minor_units(price: Decimal, currency: str) -> int:
    """Return a price as an integer in the currency's minor units, half a unit rounded up."""
    return int(price.scaleb(_exponent(currency)).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def to_price(unit_amount: int, currency: str) -> Decimal:
    """Return minor units as the decimal price that the tutorial shows."""
    return Decimal(unit_amount).scaleb(-_exponent(currency))


def _exponent(currency: str) -> int:
    return 0 if currency in WITHOUT_MINOR_UNIT else 2
