"""Orders, carts and the checkout's steps as plain Python."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

# Product ids are integers that JavaScript's numbers hold exactly.
LARGEST_ID = 2**53


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
    """What a checkout does next: one idempotent call to another service, addressed by the order's id."""

    RESERVE = "reserve"
    AUTHORIZE = "authorize"
    COMMIT = "commit"
    CAPTURE = "capture"
    CANCEL_PAYMENT = "cancel_payment"
    RELEASE = "release"


@dataclass(frozen=True)
class Transition:
    """What success at a step means: the next step, and the status that the order reaches."""

    next_step: Step | None
    status: Status | None = None


# The whole checkout. A refusal, or a deadline that has passed, leads over to UNDO.
CHECKOUT: Mapping[Step, Transition] = {
    Step.RESERVE: Transition(Step.AUTHORIZE),
    Step.AUTHORIZE: Transition(Step.COMMIT, Status.CONFIRMED),
    Step.COMMIT: Transition(Step.CAPTURE),
    Step.CAPTURE: Transition(None, Status.PAID),
}
UNDO: Mapping[Step, Transition] = {
    Step.CANCEL_PAYMENT: Transition(Step.RELEASE),
    Step.RELEASE: Transition(None, Status.CANCELLED),
}
PLAN = {**CHECKOUT, **UNDO}


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


@dataclass(frozen=True)
class Answer:
    """The bytes that a caller was given, to be given again."""

    status: int
    content_type: str
    body: bytes


def sum_lines(lines: Iterable[tuple[int, int]]) -> tuple[Line, ...]:
    """Return a line for each product, in the order of their ids, with its quantities added up."""
    quantities: Counter[int] = Counter()
    for product_id, quantity in lines:
        quantities[product_id] += quantity
    return tuple(Line(product_id, quantity) for product_id, quantity in sorted(quantities.items()))


def begin_undo(step: Step) -> Step:
    """Return where undoing begins, when the checkout got as far as `step`.

    Once authorizing was begun there may be a payment, whatever came back; it has to be cancelled first.
    """
    return Step.RELEASE if step is Step.RESERVE else Step.CANCEL_PAYMENT
