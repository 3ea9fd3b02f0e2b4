"""Orders, as they are placed, seen and changed."""

import json
import re
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from orders.addresses import find_required_fields, is_country
from orders.domain import LARGEST_ID, MOST_LINES, Event, Order, Refusal, Status
from orders.errors import CheckoutRefused
from orders.schemas.carts import QuantityIn
from shared import errors
from shared.idempotency import Answer
from shared.pages import PageQuery
from shared.schemas import BLANK_IS_NONE, Body, Integer, InternalBody, Line, Text, Time, example, example_of

ProductId = Annotated[Integer, Field(ge=1, le=LARGEST_ID)]


def _refuse_repeats(items: "list[ItemIn] | None") -> "list[ItemIn] | None":
    ids = [item.product_id for item in items or ()]
    if len(set(ids)) != len(ids):
        raise ValueError("has a product more than once; add the quantities up")
    return items


def _refuse_card_number(text: str) -> str:
    if re.search(r"[0-9]{12}", text):
        raise ValueError("must be the id of a payment method, and never a card number")
    return text


PaymentMethodId = Annotated[
    str, StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,100}$"), AfterValidator(_refuse_card_number)
]


def _require_country(code: str) -> str:
    if not is_country(code):
        raise ValueError("must be a country of ISO 3166-1 alpha-2, such as US or GB")
    return code


Country = Annotated[str, AfterValidator(_require_country)]
Place = Annotated[Line | None, Field(max_length=100, validate_default=True), BLANK_IS_NONE]
Email = Annotated[Line, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class ItemIn(QuantityIn):
    """So many of a product."""

    model_config = ConfigDict(json_schema_extra=example({"product_id": 1, "quantity": 2}))

    product_id: ProductId


class Address(Body):
    """Where an order goes. `city`, `region` and `postal_code` are required where the country has them."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "name": "Ada Buyer",
                "line1": "1 Long Lane",
                "city": "Springfield",
                "region": "IL",
                "postal_code": "62701",
                "country": "US",
            }
        ),
    )

    # First, because the others depend on it.
    country: Country = Field(description="ISO 3166-1 alpha-2.")
    name: Line = Field(max_length=200)
    line1: Line = Field(max_length=200)
    line2: Annotated[Line | None, Field(max_length=200), BLANK_IS_NONE] = None
    city: Place = None
    region: Place = None
    postal_code: Annotated[Line | None, Field(max_length=20, validate_default=True), BLANK_IS_NONE] = None

    @field_validator("city", "region", "postal_code")
    @classmethod
    def _require(cls, value: str | None, info: ValidationInfo) -> str | None:
        country = info.data.get("country")
        if value is None and country and info.field_name in find_required_fields(country):
            raise ValueError(f"is required in an address of {country}")
        return value


class AddressOut(BaseModel):
    """Where an order goes."""

    name: str
    line1: str
    line2: str | None = None
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str


class OrderIn(Body):
    """An order to place; without items it is the cart. Prices come from the catalogue alone.

    With `cart_version`, the cart must still be at that one.
    """

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "items": [example_of(ItemIn)],
                "payment_method": "pm_card_visa",
                "shipping_address": example_of(Address),
                "email": "ada@example.com",
            }
        ),
    )

    items: Annotated[list[ItemIn] | None, AfterValidator(_refuse_repeats)] = Field(
        default=None, min_length=1, max_length=MOST_LINES
    )
    cart_version: Annotated[Integer, Field(ge=0, le=LARGEST_ID)] | None = None
    payment_method: PaymentMethodId = Field(examples=["pm_card_visa"])
    shipping_address: Address
    email: Annotated[Email | None, BLANK_IS_NONE] = None

    @model_validator(mode="after")
    def _check_cart(self) -> Self:
        if self.items is not None and self.cart_version is not None:
            raise ValueError("cart_version goes with an order of the cart, which has no items")
        return self


class RefundIn(Body):
    """How much to give back, in minor units; without it, all that is left. `restock` only with all."""

    model_config = ConfigDict(json_schema_extra=example({"amount": 500}))

    amount: Integer | None = Field(default=None, ge=1)
    restock: bool = False


class CustomersIn(InternalBody):
    """Customers by their `sub`."""

    model_config = ConfigDict(
        json_schema_extra=example({"customers": ["018f5c3e-7a10-7c44-9d21-4b8f6a2e1c01"]})
    )

    customers: list[Text] = Field(min_length=1, max_length=1000)


class KnownCustomers(BaseModel):
    """Those of the customers that orders-service knows."""

    model_config = ConfigDict(json_schema_extra=example({"known": ["018f5c3e-7a10-7c44-9d21-4b8f6a2e1c01"]}))

    known: list[str]


class OrderQuery(PageQuery):
    """Which orders; the filter by user is the admin's."""

    status: Status | None = None
    user: Text | None = Field(default=None, max_length=200)
    since: Time | None = None
    until: Time | None = None


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

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": "018f5c41-5d80-7a2b-8e14-7fbc9d512f04",
                "status": "confirmed",
                "reason": None,
                "email": "ada@example.com",
                "items": [
                    {
                        "product_id": 1,
                        "sku": "KIT-0001",
                        "title": "Walnut Chopping Board with Juice Groove",
                        "quantity": 2,
                        "unit_amount": 6490,
                        "amount": 12980,
                    }
                ],
                "items_amount": 12980,
                "adjustments": [],
                "amount": 12980,
                "amount_refunded": 0,
                "currency": "USD",
                "shipping_address": example_of(Address) | {"line2": None},
                "payment": {"id": "018f5c41-5e9c-7d3c-9f25-80cdae623a05", "status": "requires_capture"},
                "created_at": "2026-03-01T10:00:00Z",
                "updated_at": "2026-03-01T10:00:00.412Z",
            }
        )
    )

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
    shipping_address: AddressOut
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
            id=order.id,
            status=order.status,
            reason=order.reason,
            email=order.email,
            items_amount=order.items_amount,
            amount_refunded=order.amount_refunded,
            currency=order.currency,
            shipping_address=AddressOut.model_validate(order.shipping_address),
            created_at=order.created_at,
            updated_at=order.updated_at,
            items=[OrderItemOut(**vars(line), amount=line.amount) for line in order.lines],
            adjustments=[],
            amount=order.amount,
            payment=payment,
        )


def render_order(order: Order, status: int) -> Answer:
    """Return an answer that shows an order."""
    return Answer(status, "application/json", OrderOut.of(order).model_dump_json().encode())


def render_refusal(order: Order, refusal: Refusal, request_id: str) -> Answer:
    """Return the answer of what was refused about an order to this request; it carries the order's id."""
    extra = {**refusal.extra, "order_id": str(order.id)}
    body = errors.describe(refusal.status, refusal.code, refusal.detail, request_id, extra)
    return Answer(refusal.status, errors.CONTENT_TYPE, json.dumps(body).encode())


def render_placed(order: Order) -> Answer:
    """Return the answer of the call that placed an order, once that has left `pending`."""
    if order.refusal:
        return render_refusal(order, order.refusal, order.request_id)
    return render_order(order, 201)


# How catalog-service, the bank and whoever cancels meanwhile refuse an order that is being placed.
EXAMPLE_ID = example_of(OrderOut)["id"]
_ORDER = {"order_id": EXAMPLE_ID}
_SHORT = [{"product_id": 1, "requested": 2, "available": 1}]
_GONE = [{"product_id": 1, "requested": 2, "available": 0}]
CHECKOUT_REFUSALS = (
    CheckoutRefused(
        "out_of_stock", 409, "out_of_stock", "There is not enough stock; see lines.", lines=_SHORT, **_ORDER
    ),
    CheckoutRefused(
        "product_unavailable",
        409,
        "product_unavailable",
        "A product is not for sale; see lines.",
        lines=_GONE,
        **_ORDER,
    ),
    CheckoutRefused(
        "cancelled_by_customer", 409, "order_cancelled", "The order was cancelled meanwhile.", **_ORDER
    ),
    CheckoutRefused(
        "payment_declined",
        402,
        "card_declined",
        "The card was declined.",
        decline_code="generic_decline",
        **_ORDER,
    ),
    CheckoutRefused(
        "too_many_waiting",
        429,
        "too_many_waiting",
        "More than 5 orders for you would wait for their payment. Answer the bank about those orders or"
        " cancel them, and order again; nothing was charged.",
        **_ORDER,
    ),
    CheckoutRefused(
        "payment_declined",
        402,
        "payment_method_unsupported",
        "This payment method is not supported.",
        **_ORDER,
    ),
)


class OrderPage(BaseModel):
    """Orders, newest first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(OrderOut)], "next": None}))

    data: list[OrderOut]
    next: str | None


class EventOut(BaseModel):
    """Something that happened to an order."""

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra=example(
            {
                "id": "018f5c41-5f20-7e4d-8a36-91debf734b06",
                "time": "2026-03-01T10:00:00.412Z",
                "kind": "payment_authorized",
                "from": "pending",
                "to": "confirmed",
                "actor": "orders-service",
                "detail": None,
            }
        ),
    )

    id: UUID
    time: datetime
    kind: str
    from_: str | None = Field(alias="from")
    to: str | None
    actor: str
    detail: str | None

    @classmethod
    def of(cls, event: Event) -> "EventOut":
        """Return the event as callers see it."""
        return cls(
            id=event.id,
            time=event.time,
            kind=event.kind,
            from_=event.from_status,
            to=event.to_status,
            actor=event.actor,
            detail=event.detail,
        )


class EventPage(BaseModel):
    """An order's story, from its beginning."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(EventOut)], "next": None}))

    data: list[EventOut]
    next: None = None
