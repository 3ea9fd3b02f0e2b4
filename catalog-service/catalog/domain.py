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
# From here on they are the shop's own products; those of a source are below, so that the two never meet.
FIRST_LOCAL_ID = 9_000_000_000_000_000

# So many failures in a row, and the source is left alone for a while.
BREAKER_FAILURES = 3

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


class Sort(StrEnum):
    """The order of a list; a minus is descending, and so are rating and newest."""

    ID = "id"
    PRICE = "price"
    PRICE_DESCENDING = "-price"
    TITLE = "title"
    RATING = "rating"
    NEWEST = "newest"


@dataclass(frozen=True)
class Filter:
    """Which products are looked for; what is empty does not matter. Money is in minor units.

    What fits the `corrected` words fits, too.
    """

    words: str | None = None
    corrected: str | None = None
    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    lowest: int | None = None
    highest: int | None = None
    in_stock: bool | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether every product fits."""
        return self == Filter()

    @property
    def is_counted(self) -> bool:
        """Tell whether the numbers are kept of what fits: they are by category and brand."""
        return self == Filter(categories=self.categories, brands=self.brands)


@dataclass(frozen=True)
class Count:
    """How many products there are of a category or a brand."""

    name: str
    count: int


@dataclass(frozen=True)
class Facets:
    """What can be chosen from, the most frequent first, and the lowest and highest price in minor units.

    Each leaves its own filter aside, so that another category can be chosen than the one that is. They are
    `exact` unless more products fit than are counted.
    """

    categories: list[Count]
    brands: list[Count]
    lowest: int | None
    highest: int | None
    exact: bool


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
class Stock:
    """What there is of a product; `shortfall` of it is only on paper, promised before the source took it."""

    product_id: int
    on_hand: int
    reserved: int
    shortfall: int


@dataclass(frozen=True)
class ManagedProduct:
    """A product as an admin sees it; `edited` names what was set here, and not by the source."""

    product: Product
    on_hand: int
    reserved: int
    edited: tuple[str, ...]


@dataclass(frozen=True)
class SourceCopy:
    """How the copying stands: when it last succeeded, and what the source said if it failed since."""

    source: str | None
    copied_at: datetime | None
    failures: int
    error_status: int | None
    error_detail: str | None
    age_seconds: float | None
    next_in_seconds: float
    fence: int

    @property
    def pause_seconds(self) -> float:
        """Return for how long the source is left alone because it failed: the circuit breaker is open."""
        return max(0.0, self.next_in_seconds) if self.failures >= BREAKER_FAILURES else 0.0


@dataclass(frozen=True)
class Claim:
    """The right to copy the source until a newer claim has a higher `fence`, and what was asked for."""

    fence: int
    is_first: bool
    is_probing: bool
    overwrite: bool
    allow_removals: bool


@dataclass(frozen=True)
class Rejection:
    """A product of the source that is not for sale here, and why."""

    reason: str
    id: int | None = None


@dataclass(frozen=True)
class Adjustment:
    """A field of a source's product that is left out here, or is something else, and why."""

    id: int
    field: str
    reason: str


class SyncStatus(StrEnum):
    """How a copy of the source went: refused if it would empty the shop, abandoned if its process died."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    ABANDONED = "abandoned"


@dataclass(frozen=True)
class SyncReport:
    """What came of a copy of the source; of many rejections and adjustments only the first are named."""

    id: int
    source: str
    status: SyncStatus
    overwrite: bool
    allow_removals: bool
    started_at: datetime
    finished_at: datetime | None
    pages: int
    unchanged_pages: int
    added: int
    changed: int
    removed: int
    rejected_count: int
    rejected: list[Rejection]
    adjusted_count: int
    adjusted: list[Adjustment]
    detail: str | None


def name_by_id(product_id: int) -> str:
    """Return the SKU of a product that has none of its own."""
    return f"P-{product_id}"


def to_minor_units(price: Decimal, currency: str, rounding: str = ROUND_HALF_UP) -> int:
    """Return a price as an integer in the currency's minor units, half a unit rounded up unless told so."""
    return int(price.scaleb(_exponent(currency)).quantize(Decimal(1), rounding=rounding))


def to_price(unit_amount: int, currency: str) -> Decimal:
    """Return minor units as the decimal price that the tutorial shows."""
    return Decimal(unit_amount).scaleb(-_exponent(currency))


def _exponent(currency: str) -> int:
    return 0 if currency in WITHOUT_MINOR_UNIT else 2
