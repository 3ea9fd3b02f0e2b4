"""Orders, carts and the steps of the checkout, in plain Python."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from orders.addresses import find_region_code
from orders.errors import (
    OrderNotCancellable,
    OrderNotDeliverable,
    OrderNotRefundable,
    OrderNotShippable,
    RefundExceedsOrder,
    RefundInProgress,
    RestockNeedsFullRefund,
)
from orders.totals import Adjustment, Coupon, Destination, Item, Quote, TaxRate

# Numbers of products and variants are integers that a JavaScript number represents exactly.
LARGEST_ID = 2**53
MOST_ADDRESSES = 20  # In an address book.
# Limits of a cart and of an order.
MOST_LINES = 100
MOST_UNITS = 1000


class Status(StrEnum):
    """The status of an order, as its customer sees it."""

    PENDING = "pending"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


class Step(StrEnum):
    """The next step of an order: idempotent calls to other services, addressed by the order's id."""

    RESERVE = "reserve"  # And authorize: nothing is written between the two calls.
    AWAIT_PAYMENT = "await_payment"
    COMMIT = "commit"
    CAPTURE = "capture"
    CANCEL_PAYMENT = "cancel_payment"
    RELEASE = "release"
    REFUND = "refund"
    RESTOCK = "restock"


# Settlement takes these steps for many orders at once. The checkout takes all others, one order at a time.
SETTLED = frozenset({Step.COMMIT, Step.CAPTURE})
UNDO = frozenset({Step.CANCEL_PAYMENT, Step.RELEASE})
REFUND = frozenset({Step.REFUND, Step.RESTOCK})
# Steps that the same thread continues with. At any other step the order waits for settlement or its customer.
CONTINUED = frozenset({Step.RESERVE}) | UNDO | REFUND

PENDING_FOR = timedelta(minutes=2)  # An order that is still pending after this is undone.
AWAITING_FOR = timedelta(minutes=10)  # For the customer to authenticate; the stock is held for longer.

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=0.2), timedelta(seconds=30)  # Before a step is retried.
DOUBLINGS = 10  # Of the wait, which reaches LONGEST_WAIT before that.

# Statuses of orders with a captured payment.
REFUNDABLE = frozenset({Status.PAID, Status.SHIPPED, Status.DELIVERED})
BEFORE_SHIPPING = frozenset({Status.PENDING, Status.AWAITING_PAYMENT, Status.CONFIRMED, Status.PAID})


@dataclass(frozen=True)
class Line:
    """A quantity of a variant; `sku`, `title` and `unit_amount` are known once the stock is held.

    `product_id` is the number of what is sold, which is the variant's, and `parent_id` that of its product.
    `parent_id` is also None in a line of an older replica, where the two numbers are the same. `only_variant`
    is whether the line was addressed by its product; an older replica does not record it.
    """

    product_id: int
    quantity: int
    sku: str | None = None
    title: str | None = None
    unit_amount: int | None = None
    parent_id: int | None = None
    only_variant: bool | None = None
    # Parts of the order's totals; `tax_rate` is in basis points, and None without a tax.
    discount_amount: int = 0
    tax_rate: int | None = None
    tax_amount: int = 0

    @property
    def amount(self) -> int | None:
        """Return the line's price in minor units."""
        return None if self.unit_amount is None else self.unit_amount * self.quantity

    @property
    def product_number(self) -> int | None:
        """Return the product's number; None if only the variant is known, until its stock is held."""
        if self.parent_id is None and self.only_variant is False and self.unit_amount is None:
            return None
        return self.parent_id or self.product_id

    @property
    def must_be_only_variant(self) -> bool:
        """Return whether the line's product may have no further variants, because it names none.

        Once its stock was held, the line is for that variant, even if the product gets further ones.
        """
        return bool(self.only_variant) and self.unit_amount is None

    def add(self, other: "Line") -> "Line":
        """Return this line with the quantity of another line for the same variant."""
        return replace(
            self,
            quantity=self.quantity + other.quantity,
            parent_id=self.parent_id or other.parent_id,
            only_variant=self.only_variant or other.only_variant,
        )


@dataclass(frozen=True)
class Refusal:
    """Why a checkout or a refund failed: `reason` is the order's, the rest is for its customer."""

    reason: str
    code: str
    detail: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Waiting:
    """The orders, and the units in them, that wait for their customers to authenticate to the bank."""

    orders: int
    units: int


@dataclass(frozen=True)
class WaitingLimits:
    """How much may wait for payment: for one customer, and for all customers of one network."""

    orders_per_customer: int
    units_per_customer: int
    orders_per_address: int
    units_per_address: int

    def find_excess(self, customer: Waiting, address: Waiting) -> str | None:
        """Return the exceeded limit as a sentence; None if there is none."""
        for whose, waiting, orders, units in (
            ("your orders", customer, self.orders_per_customer, self.units_per_customer),
            ("the orders from your network", address, self.orders_per_address, self.units_per_address),
        ):
            if waiting.orders > orders:
                return f"More than {orders} of {whose} would be waiting for payment."
            if waiting.units > units:
                return f"More than {units} units in {whose} would be waiting for payment."
        return None


@dataclass(frozen=True)
class Work:
    """The remaining work on an order, and the request that it is done for."""

    next_step: str  # A Step, or a step that only a newer release knows.
    request_id: str
    traceparent: str
    attempts: int = 0
    deadline: datetime | None = None
    # The network from which the order was placed.
    network: str | None = None


@dataclass(frozen=True)
class Order:
    """A customer's purchase; `work` is None once no work remains."""

    id: UUID
    customer: str
    status: Status
    reason: str | None
    email: str | None
    payment_method: str | None
    shipping_address: Mapping[str, str | None]
    currency: str | None
    items_amount: int | None
    amount_refunded: int
    payment_id: UUID | None
    payment_status: str | None
    refusal: Refusal | None
    request_id: str
    traceparent: str
    created_at: datetime
    updated_at: datetime
    # The version of the ordered cart; None for an order with explicit items.
    cart_version: int | None = None
    # For people; None until the order is placed, and in an order of a release without numbers.
    number: int | None = None
    # None if it is the shipping address.
    billing_address: Mapping[str, str | None] | None = None
    note: str | None = None
    # The total that the customer was shown; None if the order accepts any.
    expected_amount: int | None = None
    # Codes of what the customer chose.
    coupon: str | None = None
    shipping_method: str | None = None
    # The totals, in minor units; `amount` is None until the stock is held.
    adjustments: tuple[Adjustment, ...] = ()
    tax_amount: int | None = None
    amount: int | None = None
    lines: tuple[Line, ...] = ()
    work: Work | None = None
    # What prices the order: the version of the shop's rules when it was read, and its coupon, if it was read.
    rules_version: UUID | None = None
    coupon_terms: Coupon | None = None

    @property
    def next_step(self) -> str | None:
        """Return the next step; None if no work remains."""
        return self.work.next_step if self.work else None

    @property
    def destination(self) -> Destination:
        """Return where the order goes."""
        address = self.shipping_address
        return find_place(address["country"] or "", address.get("region"), address.get("postal_code"))

    @property
    def is_as_expected(self) -> bool:
        """Return whether the total is the one that the customer was shown."""
        return self.expected_amount is None or self.expected_amount == self.amount

    @property
    def is_undone(self) -> bool:
        """Return whether the order was undone, or is being undone."""
        return self.refusal is not None

    @property
    def needs_payment(self) -> bool:
        """Return whether the order needs a payment; one with a total of 0 does not."""
        return self.amount != 0

    def is_late(self, now: datetime) -> bool:
        """Return whether the order has passed its deadline; a confirmed order has none."""
        waits = self.status in {Status.PENDING, Status.AWAITING_PAYMENT}
        deadline = self.work.deadline if self.work else None
        return waits and not self.is_undone and deadline is not None and now > deadline

    def advance(self, progress: "Progress", now: datetime) -> "Order":
        """Return the order with its progress."""
        if self.work is None:
            raise ValueError("The order has no step left to take.")
        after = replace(self, **progress.changes, work=None, updated_at=now)
        if progress.next_step is None:
            return after
        work = replace(self.work, attempts=progress.attempts, deadline=progress.deadline)
        return replace(after, work=replace(work, next_step=progress.next_step))

    def check_cancel(self) -> None:
        """Raise OrderNotCancellable if the order has shipped or was refunded, or RefundInProgress."""
        if self.status not in BEFORE_SHIPPING:
            raise OrderNotCancellable(
                f"The order is {self.status}; only an order that has not shipped can be cancelled."
            )
        if self.next_step in REFUND:
            raise RefundInProgress

    def ship(self) -> Status:
        """Return the status of a shipped order.

        Raises OrderNotShippable unless the order is paid, and no cancellation or refund is in progress.
        """
        if self.status is not Status.SHIPPED:
            if self.status is not Status.PAID:
                raise OrderNotShippable(f"The order is {self.status}; only a paid order can be shipped.")
            if self.next_step is not None:
                raise OrderNotShippable("A cancellation or refund of this order is in progress.")
        return Status.SHIPPED

    def deliver(self) -> Status:
        """Return the status of a delivered order.

        Raises OrderNotDeliverable unless the order is shipped, and no refund is in progress.
        """
        if self.status is not Status.DELIVERED:
            if self.status is not Status.SHIPPED:
                raise OrderNotDeliverable(
                    f"The order is {self.status}; only a shipped order can be delivered."
                )
            if self.next_step is not None:
                raise OrderNotDeliverable("A refund of this order is in progress.")
        return Status.DELIVERED

    def check_refund(self, amount: int | None, *, restock: bool) -> int:
        """Return the amount of a refund in minor units: `amount`, or the remainder for None.

        Raises OrderNotRefundable, RefundInProgress, RefundExceedsOrder or RestockNeedsFullRefund.
        """
        if self.next_step in REFUND:
            raise RefundInProgress
        if self.status not in REFUNDABLE or self.next_step is not None:
            raise OrderNotRefundable(f"The order is {self.status}; it has no payment to refund.")
        left = (self.amount or 0) - self.amount_refunded
        if left == 0:
            raise OrderNotRefundable("Nothing was paid for the order, so there is nothing to refund.")
        wanted = left if amount is None else amount
        if wanted > left:
            raise RefundExceedsOrder(refundable=left)
        if restock and wanted < left:
            raise RestockNeedsFullRefund(refundable=left)
        return wanted

    def status_after(self, refund: "Refund") -> Status:
        """Return the order's status after a refund; a partial refund does not change it."""
        return Status.REFUNDED if self.amount_refunded + refund.amount == self.amount else self.status


@dataclass(frozen=True)
class Refund:
    """A refund; `amount` is in minor units, and `restock` also returns the units to the stock."""

    id: UUID
    order_id: UUID
    amount: int
    restock: bool
    actor: str


@dataclass(frozen=True)
class Payment:
    """An order's payment in payments-service; the id is None if none was ever authorized."""

    id: UUID | None
    status: str
    amount_refunded: int = 0


@dataclass(frozen=True)
class NewEvent:
    """An event of an order that is yet to be recorded."""

    kind: str
    detail: str | None = None


@dataclass(frozen=True)
class Progress:
    """The progress of an order under a lease, and its next step; None means that no work remains.

    If the lease is not kept, any thread may take the next step after `wait`. `attempts` counts the failed
    attempts at that step. `changes` has the changed values of the order only.
    """

    order_id: UUID
    events: tuple[NewEvent, ...]
    next_step: str | None
    keeps_lease: bool = False
    wait: timedelta = timedelta()
    attempts: int = 0
    deadline: datetime | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """An event in the history of an order."""

    id: UUID
    time: datetime
    kind: str
    from_status: str | None
    to_status: str | None
    actor: str
    detail: str | None


@dataclass(frozen=True)
class FeedPosition:
    """The place in the feed of changed orders at which a page ends.

    A program reads the events of the past in the order of their ids, and then those of `transaction` and
    later ones in the order of transactions. `history` names the server's sequence of transaction ids.
    """

    history: str
    transaction: int
    event: UUID
    reads_past: bool


@dataclass(frozen=True)
class Offer:
    """A variant's current price and stock in the catalogue, and its product's number.

    `is_only_variant` is whether its product has no further variants.
    """

    product_id: int
    title: str
    unit_amount: int
    stock: int
    parent_id: int
    tax_class: str | None = None
    weight_grams: int | None = None
    category: str = ""
    is_only_variant: bool = True

    def to_item(self, quantity: int) -> Item:
        """Return what prices a quantity of the variant."""
        return Item(
            self.product_id,
            self.parent_id,
            quantity,
            self.unit_amount,
            self.tax_class,
            self.weight_grams,
            self.category,
        )


Address = Mapping[str, str | None]


@dataclass(frozen=True)
class Priced:
    """A quote, with the offers and the quantities of its variants; `cart_version` is None for items."""

    quote: Quote
    offers: Mapping[int, Offer]
    quantities: Mapping[int, int]
    currency: str
    cart_version: int | None = None


@dataclass(frozen=True)
class BookEntry:
    """An address of a customer; the id is None if only an order has the address."""

    id: UUID | None
    address: Address


def find_place(country: str, region: str | None, postal_code: str | None) -> Destination:
    """Return the destination of an address, whose region may be a name, such as Illinois."""
    return Destination(country, find_region_code(country, region) if region else None, postal_code)


def wait_after(attempts: int) -> timedelta:
    """Return the wait before a step is retried, after this many earlier retries."""
    return min(FIRST_WAIT * float(2 ** min(attempts, DOUBLINGS)), LONGEST_WAIT)


def sum_lines(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return one line per variant with the sum of its quantities, sorted by the variants' numbers."""
    sums: dict[int, Line] = {}
    for line in lines:
        known = sums.get(line.product_id)
        sums[line.product_id] = known.add(line) if known else line
    return tuple(sums[number] for number in sorted(sums))


def name_refused_lines(
    lines: Iterable[Line], refused: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return refused lines, which name what is sold, with the numbers of the product and of the variant."""
    products = {line.product_id: line.product_number for line in lines}
    return [
        {**each, "product_id": products.get(each["product_id"]), "variant_id": each["product_id"]}
        for each in refused
    ]


@dataclass(frozen=True)
class CartLine:
    """A quantity of a variant in a cart, and the price at which its quantity was last set.

    `product_id` is the variant's number, and `parent_id` its product's; None means the same.
    """

    product_id: int
    quantity: int
    unit_amount: int | None
    is_guest: bool = False
    parent_id: int | None = None

    @property
    def product_number(self) -> int:
        """Return the product's number."""
        return self.parent_id or self.product_id

    def to_order_line(self) -> Line:
        """Return the line of an order of the cart, which always names its variant."""
        return Line(self.product_id, self.quantity, parent_id=self.product_number, only_variant=False)

    def find_previous_price(self, offer: Offer) -> int | None:
        """Return the price that the customer has seen, if the offer's differs; None if it is not known."""
        return None if self.unit_amount == offer.unit_amount else self.unit_amount


@dataclass(frozen=True)
class StoredTaxRate:
    """A tax rate and its id."""

    id: UUID
    rate: TaxRate


@dataclass(frozen=True)
class StoredCoupon:
    """A coupon and its id, which also tells its age."""

    id: UUID
    coupon: Coupon
    created_at: datetime


@dataclass(frozen=True)
class CouponUsage:
    """A coupon, and what decides whether a customer may use it."""

    coupon: Coupon
    customer_uses: int
    has_ordered: bool

    def check(self, now: datetime) -> Coupon:
        """Return the coupon; raise CouponNotUsable unless the customer may use it now."""
        self.coupon.check_use(now, customer_uses=self.customer_uses, has_ordered=self.has_ordered)
        return self.coupon


@dataclass(frozen=True)
class Delivery:
    """Where a cart would go, as far as it is known, and the code of its shipping method."""

    country: str | None = None
    region: str | None = None
    postal_code: str | None = None
    shipping_method: str | None = None

    @property
    def destination(self) -> Destination | None:
        """Return the destination; None while the country is not known."""
        return find_place(self.country, self.region, self.postal_code) if self.country else None


@dataclass(frozen=True)
class StoredCart:
    """The lines of a cart, its coupon and delivery, and its version: 0 for a cart that never had any.

    `rules_version` is the version of the shop's rules when the cart was read.
    """

    version: int
    lines: tuple[CartLine, ...]
    coupon: str | None = None
    delivery: Delivery = Delivery()
    rules_version: UUID | None = None


def find_problem(line: CartLine, offer: Offer | None) -> str | None:
    """Return the worst problem of a cart line, or None."""
    if offer is None:
        return "unavailable"
    if offer.stock < line.quantity:
        return "insufficient_stock"
    return None if line.find_previous_price(offer) is None else "price_changed"


def find_room(own: Iterable[CartLine], guest: Iterable[CartLine]) -> list[CartLine]:
    """Return the lines of a guest's cart that fit into the customer's own: its variants, then new ones."""
    variants = {line.product_id for line in own}
    fitting = []
    for line in guest:
        if line.product_id in variants or len(variants) < MOST_LINES:
            variants.add(line.product_id)
            fitting.append(line)
    return fitting
