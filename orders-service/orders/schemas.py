"""What orders-service takes and gives."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orders.domain import LARGEST_ID, Line, Offer, Order, Status
from shared.pages import PageQuery
from shared.schemas import Text

MOST_LINES = 100
MOST_UNITS = 1000

ProductId = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Quantity = Annotated[int, Field(ge=1, le=MOST_UNITS)]


def _refuse_repeats(items: "list[ItemIn] | None") -> "list[ItemIn] | None":
    ids = [item.product_id for item in items or ()]
    if len(set(ids)) != len(ids):
        raise ValueError("has a product more than once; add the quantities up")
    return items


class QuantityIn(BaseModel):
    """How many of a product."""

    model_config = ConfigDict(extra="forbid")

    quantity: Quantity


class ItemIn(QuantityIn):
    """So many of a product."""

    product_id: ProductId


class Address(BaseModel):
    """Where an order goes; the country is an ISO 3166 alpha-2 code."""

    model_config = ConfigDict(extra="forbid")

    name: Text = Field(max_length=200)
    line1: Text = Field(max_length=200)
    line2: Text | None = Field(default=None, max_length=200)
    city: Text = Field(max_length=100)
    region: Text | None = Field(default=None, max_length=100)
    postal_code: Text = Field(max_length=20)
    country: str = Field(pattern=r"^[A-Z]{2}$")


class OrderIn(BaseModel):
    """An order to place; without items it is the cart. Prices come from the catalogue alone."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[ItemIn] | None, AfterValidator(_refuse_repeats)] = Field(
        default=None, min_length=1, max_length=MOST_LINES
    )
    payment_method: str = Field(pattern=r"^pm_[A-Za-z0-9_]{1,100}$", examples=["pm_card_visa"])
    shipping_address: Address
    email: str | None = Field(default=None, max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+$")


class OrderQuery(PageQuery):
    """Which orders; the filter by user is the admin's."""

    status: Status | None = None
    user: Text | None = Field(default=None, max_length=200)
    since: datetime | None = None
    until: datetime | None = None


class OrderItemOut(BaseModel):
    """A line of an order; what it is and costs is null until the stock is held."""

    product_id: int
    sku: str | None
    title: str | None
    quantity: int
    unit_amount: int | None
    amount: int | None


class PaymentOut(BaseModel):
    """The order's payment; payments-service tells more of it."""

    id: UUID
    status: str


class Adjustment(BaseModel):
    """Shipping, tax or a discount; none is computed yet."""

    kind: str
    title: str
    amount: int


class OrderOut(BaseModel):
    """An order; `amount` is `items_amount` with the adjustments, in minor units."""

    id: UUID
    status: Status
    reason: str | None
    email: str | None
    items: list[OrderItemOut]
    items_amount: int | None
    adjustments: list[Adjustment]
    amount: int | None
    amount_refunded: int
    currency: str | None
    shipping_address: Address
    payment: PaymentOut | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, order: Order) -> "OrderOut":
        """Return the order as its customer sees it."""
        payment = None
        if order.payment_id is not None and order.payment_status is not None:
            payment = PaymentOut(id=order.payment_id, status=order.payment_status)
        return cls(
            **{name: getattr(order, name) for name in cls.model_fields if hasattr(order, name)},
            items=[OrderItemOut(**vars(line), amount=line.amount) for line in order.lines],
            adjustments=[],
            amount=order.items_amount,
            payment=payment,
        )


class OrderPage(BaseModel):
    """Orders, newest first."""

    data: list[OrderOut]
    next: str | None


class EventOut(BaseModel):
    """Something that happened to an order."""

    model_config = ConfigDict(populate_by_name=True)

    id: UUID
    time: datetime
    kind: str
    from_: str | None = Field(alias="from")
    to: str | None
    actor: str
    detail: str | None


class EventPage(BaseModel):
    """An order's story, from its beginning."""

    data: list[EventOut]
    next: None = None


class CartItemOut(BaseModel):
    """A line of a cart; prices are null while the catalogue is away, `problem` says what is wrong."""

    product_id: int
    title: str | None
    quantity: int
    unit_amount: int | None
    amount: int | None
    problem: str | None


class CartOut(BaseModel):
    """A cart, priced just now."""

    items: list[CartItemOut]
    amount: int | None
    currency: str | None

    @classmethod
    def of(
        cls, lines: tuple[Line, ...], offers: Mapping[int, Offer] | None, currency: str | None
    ) -> "CartOut":
        """Return the cart with what the catalogue says; None stands for a catalogue that is away."""
        items = [_price(line, offers) for line in lines]
        amounts = [item.amount for item in items]
        total = None if None in amounts else sum(amount for amount in amounts if amount is not None)
        return cls(items=items, amount=total if offers is not None else None, currency=currency)


def _price(line: Line, offers: Mapping[int, Offer] | None) -> CartItemOut:
    known: dict[str, Any] = {"product_id": line.product_id, "quantity": line.quantity}
    offer = (offers or {}).get(line.product_id)
    if offer is None:
        problem = None if offers is None else "unavailable"
        return CartItemOut(**known, title=None, unit_amount=None, amount=None, problem=problem)
    return CartItemOut(
        **known,
        title=offer.title,
        unit_amount=offer.unit_amount,
        amount=offer.unit_amount * line.quantity,
        problem="insufficient_stock" if offer.stock < line.quantity else None,
    )
