"""Orders, carts and the checkout's steps as plain Python."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
    """What is done next for an order: one idempotent call to another service, addressed by the order's id."""

    RESERVE = "reserve"
    AUTHORIZE = "authorize"
    AWAIT_PAYMENT = "await_payment"
    COMMIT = "commit"
    CAPTURE = "capture"
    CANCEL_PAYMENT = "cancel_payment"
    RELEASE = "release"
    REFUND = "refund"
    RESTOCK = "restock"


@dataclass(frozen=True)
class Transition:
    """What success at a step means: its event, the next step, and the status that the order reaches."""

    event: str
    next_step: Step | None
    status: Status | None = None


# The whole checkout. A refusal, a deadline that has passed, or a cancellation leads over to UNDO.
CHECKOUT: Mapping[Step, Transition] = {
    Step.RESERVE: Transition("stock_reserved", Step.AUTHORIZE),
    Step.AUTHORIZE: Transition("payment_authorized", Step.COMMIT, Status.CONFIRMED),
    Step.COMMIT: Transition("stock_committed", Step.CAPTURE),
    Step.CAPTURE: Transition("payment_captured", None, Status.PAID),
}
# The way round when the bank asks for the customer: AUTHORIZE leads here, and from here on as planned.
ASK_CUSTOMER = Transition("payment_action_required", Step.AWAIT_PAYMENT, Status.AWAITING_PAYMENT)
DETOUR: Mapping[Step, Transition] = {
    Step.AWAIT_PAYMENT: Transition("payment_authorized", Step.COMMIT, Status.CONFIRMED),
}
UNDO: Mapping[Step, Transition] = {
    Step.CANCEL_PAYMENT: Transition("payment_cancelled", Step.RELEASE),
    Step.RELEASE: Transition("cancelled", None, Status.CANCELLED),
}
# A refund is asked for, and comes after everything else. One in full makes the order `refunded`.
REFUND: Mapping[Step, Transition] = {
    Step.REFUND: Transition("refunded", Step.RESTOCK),
    Step.RESTOCK: Transition("restocked", None),
}
PLAN = {**CHECKOUT, **DETOUR, **UNDO, **REFUND}

PENDING_FOR = timedelta(minutes=2)  # An order that is still pending after this is undone.
AWAITING_FOR = timedelta(minutes=10)  # So long the customer may take to answer the bank; the hold is longer.

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
class Order:
    """An order, and how its checkout goes on."""

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
    next_step: Step | None
    refusal: Refusal | None
    attempts: int
    deadline: datetime
    request_id: str
    traceparent: str
    created_at: datetime
    updated_at: datetime
    lines: tuple[Line, ...] = ()

    @property
    def amount(self) -> int | None:
        """Return what the order costs, in minor units; None until its stock is held."""
        return self.items_amount

    @property
    def is_undone(self) -> bool:
        """Tell whether the order is being given up, or has been."""
        return self.refusal is not None

    def needs(self, step: Step) -> bool:
        """Tell whether there is anything to do at a step; an order that costs nothing needs no payment."""
        return not (self.amount == 0 and step in {Step.AUTHORIZE, Step.CAPTURE})

    def is_late(self, now: datetime) -> bool:
        """Tell whether the order has passed its deadline; once confirmed it has none."""
        waits = self.status in {Status.PENDING, Status.AWAITING_PAYMENT}
        return waits and not self.is_undone and now > self.deadline

    def begin_undo(self) -> Step:
        """Return where undoing the order begins.

        Once authorizing was begun there may be a payment, whatever came back; it has to be cancelled first.
        """
        untouched = self.status is Status.PENDING and self.next_step is Step.RESERVE
        return Step.RELEASE if untouched else Step.CANCEL_PAYMENT

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
