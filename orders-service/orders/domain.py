"""Orders, carts and the checkout's steps as plain Python."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from orders.errors import (
    OrderNotCancellable,
    OrderNotDeliverable,
    OrderNotRefundable,
    OrderNotShippable,
    RefundExceedsOrder,
    RefundInProgress,
    RestockNeedsFullRefund,
)

# Product ids are integers that JavaScript's numbers hold exactly.
LARGEST_ID = 2**53
# Of a cart, and of an order.
MOST_LINES = 100
MOST_UNITS = 1000


class Status(StrEnum):
    """Where an order stands, as its customer sees it."""

    PENDING = "pending"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


class Step(StrEnum):
    """What is done next for an order: idempotent calls to other services, addressed by the order's id."""

    RESERVE = "reserve"  # And authorize: nothing is written between the two.
    AWAIT_PAYMENT = "await_payment"
    COMMIT = "commit"
    CAPTURE = "capture"
    CANCEL_PAYMENT = "cancel_payment"
    RELEASE = "release"
    REFUND = "refund"
    RESTOCK = "restock"


# Settlement takes these, for many orders at once. The checkout takes all others, one order at a time.
SETTLED = frozenset({Step.COMMIT, Step.CAPTURE})
UNDO = frozenset({Step.CANCEL_PAYMENT, Step.RELEASE})
REFUND = frozenset({Step.REFUND, Step.RESTOCK})
# Steps that the same thread goes on with. At any other the order waits for settlement, or for its customer.
CONTINUED = frozenset({Step.RESERVE}) | UNDO | REFUND

PENDING_FOR = timedelta(minutes=2)  # An order that is still pending after this is undone.
AWAITING_FOR = timedelta(minutes=10)  # So long the customer may take to answer the bank; the hold is longer.

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=0.2), timedelta(seconds=30)  # Before a step is tried again.
DOUBLINGS = 10  # Of the wait; it has reached its longest before.

# Where there is money that can be given back.
REFUNDABLE = frozenset({Status.PAID, Status.SHIPPED, Status.DELIVERED})
BEFORE_SHIPPING = frozenset({Status.PENDING, Status.AWAITING_PAYMENT, Status.CONFIRMED, Status.PAID})


@dataclass(frozen=True)
class Line:
    """So many of a product; what it is and costs is known once the stock is held."""

    product_id: int
    quantity: int
    sku: str | None = None
    title: str | None = None
    unit_amount: int | None = None

    @property
    def amount(self) -> int | None:
        """Return the line's price in minor units."""
        return None if self.unit_amount is None else self.unit_amount * self.quantity


@dataclass(frozen=True)
class Refusal:
    """Why a checkout failed: the order's reason, and the answer that its caller gets."""

    reason: str
    status: int
    code: str
    detail: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Waiting:
    """How many orders, and units in them, wait for their customers to answer the bank."""

    orders: int
    units: int


@dataclass(frozen=True)
class WaitingLimits:
    """How much may wait for payment: of one customer, and of all customers at one address."""

    orders_per_customer: int
    units_per_customer: int
    orders_per_address: int
    units_per_address: int

    def find_excess(self, customer: Waiting, address: Waiting) -> str | None:
        """Return as a sentence which limit is passed, if one is."""
        for whose, waiting, orders, units in (
            ("for you", customer, self.orders_per_customer, self.units_per_customer),
            ("at your address", address, self.orders_per_address, self.units_per_address),
        ):
            if waiting.orders > orders:
                return f"More than {orders} orders {whose} would wait for their payment."
            if waiting.units > units:
                return f"More than {units} units {whose} would wait for their payment."
        return None


@dataclass(frozen=True)
class Work:
    """What is still to be done for an order, and for which request."""

    next_step: str  # A Step, or one that only a newer release knows.
    request_id: str
    traceparent: str
    attempts: int = 0
    deadline: datetime | None = None
    # Where the customer is who has placed the order.
    network: str | None = None


@dataclass(frozen=True)
class Order:
    """What a customer has bought; `work` is None once nothing is left to do."""

    id: UUID
    customer: str
    status: Status
    reason: str | None
    email: str | None
    payment_method: str
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
    # The version of the cart that was ordered; None for an order of its own items.
    cart_version: int | None = None
    lines: tuple[Line, ...] = ()
    work: Work | None = None

    @property
    def next_step(self) -> str | None:
        """Return what is done next for the order."""
        return self.work.next_step if self.work else None

    @property
    def amount(self) -> int | None:
        """Return what the order costs, in minor units; None until its stock is held."""
        return self.items_amount

    @property
    def is_undone(self) -> bool:
        """Tell whether the order is being given up, or has been."""
        return self.refusal is not None

    @property
    def needs_payment(self) -> bool:
        """Tell whether there is money to take; an order that costs nothing needs no payment."""
        return self.amount != 0

    def is_late(self, now: datetime) -> bool:
        """Tell whether the order has passed its deadline; once confirmed it has none."""
        waits = self.status in {Status.PENDING, Status.AWAITING_PAYMENT}
        deadline = self.work.deadline if self.work else None
        return waits and not self.is_undone and deadline is not None and now > deadline

    def advance(self, progress: "Progress", now: datetime) -> "Order":
        """Return the order with its progress."""
        if self.work is None:
            raise ValueError("Nothing is left to do for the order.")
        after = replace(self, **progress.changes, work=None, updated_at=now)
        if progress.next_step is None:
            return after
        work = replace(self.work, attempts=progress.attempts, deadline=progress.deadline)
        return replace(after, work=replace(work, next_step=progress.next_step))

    def check_cancel(self) -> None:
        """Raise OrderNotCancellable for an order that was shipped, or RefundInProgress."""
        if self.status not in BEFORE_SHIPPING:
            raise OrderNotCancellable(
                f"The order is {self.status}; only one not yet shipped can be cancelled."
            )
        if self.next_step in REFUND:
            raise RefundInProgress

    def ship(self) -> Status:
        """Return the status of a shipped order; raise OrderNotShippable unless it is paid and at rest."""
        if self.status is not Status.SHIPPED:
            if self.status is not Status.PAID:
                raise OrderNotShippable(f"The order is {self.status}; only a paid one can be shipped.")
            if self.next_step is not None:
                raise OrderNotShippable("The order is being cancelled or refunded just now.")
        return Status.SHIPPED

    def deliver(self) -> Status:
        """Return the status of a delivered order; raise OrderNotDeliverable unless it was shipped."""
        if self.status is not Status.DELIVERED:
            if self.status is not Status.SHIPPED:
                raise OrderNotDeliverable(f"The order is {self.status}; only a shipped one can be delivered.")
            if self.next_step is not None:
                raise OrderNotDeliverable("The order is being refunded just now.")
        return Status.DELIVERED

    def check_refund(self, amount: int | None, *, restock: bool) -> int:
        """Return how much a refund gives back: `amount`, or all that is left.

        Raises OrderNotRefundable, RefundInProgress, RefundExceedsOrder or RestockNeedsFullRefund.
        """
        if self.next_step in REFUND:
            raise RefundInProgress
        if self.status not in REFUNDABLE or self.next_step is not None:
            raise OrderNotRefundable(f"The order is {self.status}; there is no payment to give back.")
        left = (self.amount or 0) - self.amount_refunded
        if left == 0:
            raise OrderNotRefundable("Nothing was paid for the order, so nothing can be given back.")
        wanted = left if amount is None else amount
        if wanted > left:
            raise RefundExceedsOrder(refundable=left)
        if restock and wanted < left:
            raise RestockNeedsFullRefund(refundable=left)
        return wanted

    def status_after(self, refund: "Refund") -> Status:
        """Return where the order stands after a refund: a partial one leaves it where it is."""
        return Status.REFUNDED if self.amount_refunded + refund.amount == self.amount else self.status


@dataclass(frozen=True)
class Refund:
    """Money that is given back; `restock` says that the goods are on the shelf again."""

    id: UUID
    order_id: UUID
    amount: int
    restock: bool
    actor: str


@dataclass(frozen=True)
class Payment:
    """What payments-service says of an order's payment."""

    id: UUID | None
    status: str
    amount_refunded: int = 0


@dataclass(frozen=True)
class Told:
    """An event of an order's story that is yet to be written down."""

    kind: str
    detail: str | None = None


@dataclass(frozen=True)
class Progress:
    """What has become of an order under a lease, and what is done next: nothing without a `next_step`.

    The lease is kept, or else the next step is anybody's after `wait`. `attempts` says how often the step was
    tried already. A value that `changes` does not name stays as it is.
    """

    order_id: UUID
    story: tuple[Told, ...]
    next_step: str | None
    keeps_lease: bool = False
    wait: timedelta = timedelta()
    attempts: int = 0
    deadline: datetime | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """Something that happened to an order."""

    id: UUID
    time: datetime
    kind: str
    from_status: str | None
    to_status: str | None
    actor: str
    detail: str | None


@dataclass(frozen=True)
class Offer:
    """What the catalogue says of a product just now."""

    product_id: int
    title: str
    unit_amount: int
    stock: int


def wait_after(attempts: int) -> timedelta:
    """Return how long a step waits that could not be done, and that was tried so often before."""
    return min(FIRST_WAIT * float(2 ** min(attempts, DOUBLINGS)), LONGEST_WAIT)


def sum_lines(lines: Iterable[tuple[int, int]]) -> tuple[Line, ...]:
    """Return a line for each product, in the order of their ids, with its quantities added up."""
    quantities: Counter[int] = Counter()
    for product_id, quantity in lines:
        quantities[product_id] += quantity
    return tuple(Line(product_id, quantity) for product_id, quantity in sorted(quantities.items()))


@dataclass(frozen=True)
class CartLine:
    """So many of a product in a cart, and the price at which it was put in."""

    product_id: int
    quantity: int
    unit_amount: int | None
    is_guest: bool = False


@dataclass(frozen=True)
class StoredCart:
    """What is in a cart, and its version: 0 for a cart into which nothing was ever put."""

    version: int
    lines: tuple[CartLine, ...]


def find_problem(line: CartLine, offer: Offer | None) -> str | None:
    """Return what is wrong with a line of a cart, the worst first, or None."""
    if offer is None:
        return "unavailable"
    if offer.stock < line.quantity:
        return "insufficient_stock"
    if line.unit_amount not in {None, offer.unit_amount}:
        return "price_changed"
    return None


def find_room(own: Iterable[CartLine], guest: Iterable[CartLine]) -> list[CartLine]:
    """Return the lines of a guest's cart that one's own has room for: its products, and so many new ones."""
    products = {line.product_id for line in own}
    fitting = []
    for line in guest:
        if line.product_id in products or len(products) < MOST_LINES:
            products.add(line.product_id)
            fitting.append(line)
    return fitting
