"""Products, reservations and money as plain Python."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from catalog.category_tree import Crumb
from catalog.errors import ReservationClosed, ReservationConflict, ReservationLapsed
from catalog.variants import Metadata, Option, Variant, cross_out
from shared.money import find_exponent

# How long a reservation holds stock for an unpaid order.
HOLD_DURATION = timedelta(minutes=15)

# The largest integer that a JavaScript number represents exactly.
MAX_ID = 2**53
# The shop's own products have ids from here on, and a source's products have smaller ones, so they never
# clash.
FIRST_LOCAL_ID = 9_000_000_000_000_000

# After this many failures in a row, the circuit breaker opens and copying pauses.
BREAKER_FAILURES = 3

# A number that a filter by metadata compares as such; 15 digits are exact.
METADATA_NUMBER = r"-?[0-9]{1,15}(\.[0-9]{1,15})?"


@dataclass(frozen=True)
class OfferedVariant:
    """A variant as the source describes it; amounts are in minor units."""

    sku: str
    option_values: dict[str, str] | None
    unit_amount: int
    source_on_hand: int
    compare_at_amount: int | None = None
    weight_grams: int | None = None
    source_image: str | None = None


@dataclass(frozen=True)
class Offer:
    """A product as its source describes it; `unit_amount` is in minor units.

    `sku`, `unit_amount` and `source_on_hand` are those of one of the variants, if there are any. `variants`
    is None if a replica of the previous release read the product, which did not know them.
    """

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
    options: tuple[Option, ...] = ()
    variants: tuple[OfferedVariant, ...] | None = None

    @property
    def skus(self) -> list[str]:
        """Return the SKU of the product, and those of its other variants."""
        return [self.sku, *[each.sku for each in self.variants or () if each.sku != self.sku]]


# A list has a hundred of them, and a frozen instance takes six times as long to make.
@dataclass
class Product:
    """A product for sale; `stock` is the number of units of all variants that are available now.

    `sku` and the amounts are those of its cheapest variant.
    """

    id: int
    sku: str
    title: str
    brand: str | None
    category: str
    unit_amount: int
    highest_unit_amount: int
    description: str
    rating: Decimal | None
    stock: int
    images: list[str]
    tax_class: str | None
    variant_count: int
    version: int
    updated_at: datetime
    compare_at_amount: int | None
    lowest_amount_30d: int | None
    # The price without the running sale; None while none runs.
    regular_amount: int | None
    # The stored images by URL; None without any.
    media: Mapping[str, Any] | None
    slug: str
    # The cheapest variant of a product that has further variants; None if its own row is its only one.
    cheapest_id: int | None = None

    @property
    def variant_id(self) -> int | None:
        """Return the only variant, or None unless there is exactly one."""
        return (self.cheapest_id or self.id) if self.variant_count == 1 else None

    @property
    def crossed_out_amount(self) -> int | None:
        """Return the crossed-out price, or None unless it is above the price."""
        return cross_out(self.compare_at_amount, self.unit_amount)


@dataclass(frozen=True)
class ProductDetails:
    """A product with its options and its variants, in the order of the options' values."""

    product: Product
    metadata: Metadata
    options: tuple[Option, ...]
    variants: list[Variant]
    # The categories from the root to the product's own.
    breadcrumbs: tuple[Crumb, ...]


@dataclass(frozen=True)
class SitemapEntry:
    """The page of a product, and when the product last changed."""

    slug: str
    changed_at: datetime


@dataclass(frozen=True)
class ExportedProduct:
    """A product for an export, with its options and its variants by id."""

    id: int
    version: int
    title: str
    slug: str
    brand: str | None
    category: str
    description: str
    rating: Decimal | None
    images: list[str]
    # In the order of `images`, without the empty ones at the end.
    image_alts: list[str]
    tax_class: str | None
    metadata: Metadata
    options: tuple[Option, ...]
    variants: list[Variant]

    @property
    def is_plain(self) -> bool:
        """Return whether the product's own row has its only variant, without options."""
        return not self.options and [variant.id for variant in self.variants] == [self.id]


class Sort(StrEnum):
    """The order of a list. A minus means descending; rating and newest are always descending."""

    ID = "id"
    PRICE = "price"
    PRICE_DESCENDING = "-price"
    TITLE = "title"
    RATING = "rating"
    NEWEST = "newest"


@dataclass(frozen=True)
class NamedCategories:
    """Categories by key whose current names have some words of a search.

    `query` is a text search query that a product in them matches if it has the other words.
    """

    keys: tuple[str, ...]
    words: str
    query: str


@dataclass(frozen=True)
class Filter:
    """The filters of a product list; an empty field does not filter. Money is in minor units.

    A product matches if it, with the names of its category, matches `words` or `corrected`.
    """

    words: str | None = None
    corrected: str | None = None
    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    lowest: int | None = None
    highest: int | None = None
    in_stock: bool | None = None
    # Each option with the values of which a variant has one; the other limits then hold for the same variant.
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()
    # Each metadata key with the values of which the product or a variant has one.
    metadata: tuple[tuple[str, tuple[str | float | bool, ...]], ...] = ()
    # What a query needs to know of the shop, which is no part of what a client asks: whether it has a product
    # with several variants, and the categories that the words name, unless their keys have these words.
    among_several: bool = field(default=True, repr=False)
    named: tuple[NamedCategories, ...] = field(default=(), repr=False)

    @property
    def is_empty(self) -> bool:
        """Return whether every product matches."""
        return self == Filter()

    @property
    def has_stored_counts(self) -> bool:
        """Return whether `facet_counts` covers this filter, which it does for categories and brands."""
        return self == Filter(categories=self.categories, brands=self.brands)


@dataclass(frozen=True)
class Count:
    """The number of products in a category, which has a title, or of a brand."""

    name: str
    count: int
    title: str | None = None


@dataclass(frozen=True)
class ValueCounts:
    """The numbers of products that have each value of an option or of a metadata key."""

    name: str
    values: list[Count]


@dataclass(frozen=True)
class Facets:
    """The facets of a list, most frequent first, and the lowest and highest price in minor units.

    Each facet ignores its own filter, so that the customer can switch to another category. They are `exact`
    unless more products match than are counted.
    """

    categories: list[Count]
    brands: list[Count]
    lowest: int | None
    highest: int | None
    options: list[ValueCounts]
    # None if no key is marked for filters.
    metadata: list[ValueCounts] | None
    exact: bool


class State(StrEnum):
    """The state of a reservation: held → committed or lapsed, any → released; closed if it never began."""

    HELD = "held"
    COMMITTED = "committed"
    RELEASED = "released"
    LAPSED = "lapsed"
    CLOSED = "closed"


@dataclass(frozen=True)
class Line:
    """A variant and a quantity, at the price when the stock was first held.

    `product_id` is the variant's own number; `parent_id` is its product's, and None for a first variant.
    `category` is a path, and None in a line of the release before.
    """

    product_id: int
    sku: str
    title: str
    quantity: int
    unit_amount: int
    parent_id: int | None = None
    tax_class: str | None = None
    weight_grams: int | None = None
    category: str | None = None

    @property
    def amount(self) -> int:
        """Return the line's price in minor units."""
        return self.unit_amount * self.quantity


@dataclass(frozen=True)
class Reservation:
    """Stock held for an order; a reservation that was closed before it began has no customer and no lines."""

    order_id: UUID
    customer: str | None
    currency: str | None
    state: State
    expires_at: datetime | None
    lines: tuple[Line, ...] = ()

    @property
    def quantities(self) -> dict[int, int]:
        """Return the quantity of each product, by id."""
        return {line.product_id: line.quantity for line in self.lines}

    def check_repeat(self, customer: str, quantities: Mapping[int, int]) -> None:
        """Raise ReservationClosed or ReservationConflict unless the request matches the first one."""
        if self.state not in {State.HELD, State.LAPSED}:
            raise ReservationClosed
        if (self.customer, self.quantities) != (customer, quantities):
            raise ReservationConflict

    def check_commit(self) -> None:
        """Raise ReservationLapsed or ReservationClosed unless this is held or already committed."""
        if self.state is State.LAPSED:
            raise ReservationLapsed
        if self.state not in {State.HELD, State.COMMITTED}:
            raise ReservationClosed


@dataclass(frozen=True)
class Sale:
    """A reduced price from `starts` to `ends`, if it ends; `regular_amount` is the price without it."""

    unit_amount: int
    regular_amount: int
    starts: datetime
    ends: datetime | None
    is_running: bool


@dataclass(frozen=True)
class ProductSales:
    """The running, or the planned, sales of a product's variants.

    `unit_amount` is the lowest of their prices, `starts` the first start, and `ends` the first end, if any.
    """

    product_id: int
    is_running: bool
    variant_count: int
    unit_amount: int
    starts: datetime
    ends: datetime | None


@dataclass(frozen=True)
class ManagedProduct:
    """A product as an admin sees it; `edited` names the fields that an admin set."""

    product: Product
    on_hand: int
    reserved: int
    edited: tuple[str, ...]
    metadata: Metadata
    weight_grams: int | None
    low_stock_threshold: int | None
    further_variants: int

    @property
    def fields(self) -> dict[str, Any]:
        """Return the writable fields by column, those of the only variant included."""
        return {**vars(self.product), **vars(self), "product_metadata": self.metadata}


@dataclass(frozen=True)
class SourceCopy:
    """The status of copying the source: when it last succeeded, and the source's error if it failed since."""

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
        """Return how long the circuit breaker stays open; 0 while it is closed."""
        return max(0.0, self.next_in_seconds) if self.failures >= BREAKER_FAILURES else 0.0


@dataclass(frozen=True)
class Claim:
    """The right to copy the source until a newer claim has a higher `fence`, and the requested options."""

    fence: int
    is_first: bool
    is_probing: bool
    overwrite: bool
    allow_removals: bool


@dataclass(frozen=True)
class Rejection:
    """A source product that the copy left out, and why."""

    reason: str
    id: int | None = None


@dataclass(frozen=True)
class Adjustment:
    """A field of a source product that the copy left out or changed, and why."""

    id: int
    field: str
    reason: str


class SyncStatus(StrEnum):
    """The outcome of a copy: refused if it would empty the shop, abandoned if its process died."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    ABANDONED = "abandoned"


@dataclass(frozen=True)
class SyncReport:
    """The report of a copy of the source; it lists only the first rejections and adjustments."""

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


def default_sku(product_id: int) -> str:
    """Return the SKU of a product that its source gives none."""
    return f"P-{product_id}"


def to_minor_units(price: Decimal, currency: str, rounding: str = ROUND_HALF_UP) -> int:
    """Return a price in the currency's minor units; halves round up by default."""
    return int(price.scaleb(find_exponent(currency)).quantize(Decimal(1), rounding=rounding))


def to_price(unit_amount: int, currency: str) -> Decimal:
    """Return an amount in minor units as a decimal price, the tutorial's format."""
    return Decimal(unit_amount).scaleb(-find_exponent(currency))
