"""Bodies of orders, refunds and events."""

import re
from collections import Counter
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from orders.domain import LARGEST_ID, MOST_LINES, MOST_UNITS, Event, Order, Status
from orders.domain import Line as OrderLine
from orders.schemas.addresses import Address, AddressOut
from orders.schemas.carts import QuantityIn
from orders.schemas.coupons import CouponCode
from orders.schemas.rules import Code
from orders.schemas.totals import AdjustmentOut
from shared.pages import PageQuery
from shared.schemas import (
    BLANK_IS_NONE,
    Body,
    Email,
    Integer,
    InternalBody,
    Paragraphs,
    Text,
    Time,
    example,
    example_of,
)

CatalogueNumber = Annotated[Integer, Field(ge=1, le=LARGEST_ID)]


def limit_units(items: "list[ItemIn] | None") -> "list[ItemIn] | None":
    units: Counter[int] = Counter()
    for item in items or ():
        units[item.number] += item.quantity
    if any(quantity > MOST_UNITS for quantity in units.values()):
        raise ValueError(f"names more than {MOST_UNITS} units of the same variant")
    return items


def _refuse_card_number(text: str) -> str:
    if re.search(r"[0-9]{12}", text):
        raise ValueError("must be a payment method id, never a card number")
    return text


PaymentMethodId = Annotated[
    str, StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,100}$"), AfterValidator(_refuse_card_number)
]


Note = Annotated[Annotated[Paragraphs, Field(max_length=1000)] | None, BLANK_IS_NONE]
# Of a customer of the shop, so its domain is on the internet.
CustomerEmail = Annotated[Email, StringConstraints(pattern=r"@[^@\s]+\.[^@\s]+$")]


class ItemIn(QuantityIn):
    """A variant and its quantity; quantities of the same variant are added up.

    The item names either the variant, or the product if that has no further variants.
    """

    model_config = ConfigDict(
        json_schema_extra=example({"variant_id": 1, "quantity": 2})
        | {"oneOf": [{"required": ["variant_id"]}, {"required": ["product_id"]}]}
    )

    variant_id: CatalogueNumber | None = None
    product_id: CatalogueNumber | None = None

    @model_validator(mode="after")
    def _check_number(self) -> Self:
        if (self.variant_id is None) == (self.product_id is None):
            raise ValueError("needs either variant_id or product_id")
        return self

    @property
    def number(self) -> int:
        """Return the number of what is ordered. A product has the same number as its first variant."""
        return next(number for number in (self.variant_id, self.product_id) if number is not None)

    def to_line(self) -> OrderLine:
        """Return the line of an order; the product of a variant is not known yet."""
        by_product = self.product_id is not None
        return OrderLine(self.number, self.quantity, parent_id=self.product_id, only_variant=by_product)


class OrderIn(Body):
    """An order to place. Without `items`, it orders the cart. Only the catalogue sets prices.

    With `cart_version`, the cart must still have that version. A guest's order needs an `email`. An order of
    the cart also takes the coupon and the shipping method of the cart, unless it names its own or null.
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

    items: Annotated[list[ItemIn] | None, AfterValidator(limit_units)] = Field(
        default=None, min_length=1, max_length=MOST_LINES
    )
    cart_version: Annotated[Integer, Field(ge=0, le=LARGEST_ID)] | None = None
    payment_method: PaymentMethodId | None = Field(
        default=None, examples=["pm_card_visa"], description="Required unless the order costs nothing."
    )
    shipping_address: Address
    billing_address: Address | None = Field(default=None, description="The shipping address if absent.")
    email: Annotated[CustomerEmail | None, BLANK_IS_NONE] = None
    expected_amount: Annotated[Integer, Field(ge=0, le=LARGEST_ID)] | None = Field(
        default=None,
        description="The total that the customer was shown; another one is 409 `amount_changed`.",
    )
    shipping_method: Code | None = Field(
        default=None, description="The code of a shipping method; required if the shop has any."
    )
    coupon: Annotated[CouponCode | None, BLANK_IS_NONE] = None
    note: Note = Field(default=None, description="What the customer asks of the shop.")

    @model_validator(mode="after")
    def _check_cart(self) -> Self:
        if self.items is not None and self.cart_version is not None:
            raise ValueError("cart_version is only valid for an order of the cart, without items")
        return self


class RefundIn(Body):
    """A refund. `amount` is in minor units and defaults to the remainder, which `restock` requires."""

    model_config = ConfigDict(json_schema_extra=example({"amount": 500}))

    amount: Integer | None = Field(default=None, ge=1)
    restock: bool = False


class CustomersIn(InternalBody):
    """Customers, by the `sub` of their tokens."""

    model_config = ConfigDict(
        json_schema_extra=example({"customers": ["018f5c3e-7a10-7c44-9d21-4b8f6a2e1c01"]})
    )

    customers: list[Text] = Field(min_length=1, max_length=1000)


class KnownCustomers(BaseModel):
    """The customers that orders-service knows."""

    model_config = ConfigDict(json_schema_extra=example({"known": ["018f5c3e-7a10-7c44-9d21-4b8f6a2e1c01"]}))

    known: list[str]


class OrderQuery(PageQuery):
    """Filters of the order list; `user` has an effect for callers who see all orders."""

    q: Annotated[Text | None, BLANK_IS_NONE] = Field(
        default=None,
        max_length=200,
        description="An order's number or id, or beginnings of words of its email address and names.",
    )
    status: Status | None = None
    user: Text | None = Field(default=None, max_length=200)
    since: Time | None = None
    until: Time | None = None
    updated_since: Time | None = Field(
        default=None,
        description="For programs that poll: the orders that changed at this time or later, in the order of"
        " their changes, each at most once per page. `next` is then always set; keep it, and send it as"
        " `cursor` with the next call. With a `cursor` the time has no effect. Filters are refused.",
    )


class OrderItemOut(BaseModel):
    """A line of an order; title, SKU and prices are null until the stock is held."""

    product_id: int | None = Field(
        description="The product. Null until the stock is held, if the item named the variant."
    )
    variant_id: int = Field(description="What is sold. The first variant has its product's number.")
    sku: str | None
    title: str | None
    quantity: int
    unit_amount: int | None
    amount: int | None = Field(description="Before the discount.")
    discount_amount: int
    tax_rate: int | None = Field(description="In basis points: 1900 is 19 %; null without a tax.")
    tax_amount: int

    @classmethod
    def of(cls, line: OrderLine) -> "OrderItemOut":
        """Return the line as its customer sees it."""
        return cls(
            product_id=line.product_number,
            variant_id=line.product_id,
            sku=line.sku,
            title=line.title,
            quantity=line.quantity,
            unit_amount=line.unit_amount,
            amount=line.amount,
            discount_amount=line.discount_amount,
            tax_rate=line.tax_rate,
            tax_amount=line.tax_amount,
        )


class PaymentOut(BaseModel):
    """The order's payment; see `GET /payments/{id}` for its details."""

    id: UUID
    status: str


class OrderOut(BaseModel):
    """An order; `amount` is `items_amount` and all adjustments that are not included, in minor units."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": "018f5c41-5d80-7a2b-8e14-7fbc9d512f04",
                "number": 1001,
                "status": "confirmed",
                "reason": None,
                "email": "ada@example.com",
                "items": [
                    {
                        "product_id": 1,
                        "variant_id": 1,
                        "sku": "KIT-0001",
                        "title": "Walnut Chopping Board with Juice Groove",
                        "quantity": 2,
                        "unit_amount": 6490,
                        "amount": 12980,
                        "discount_amount": 0,
                        "tax_rate": None,
                        "tax_amount": 0,
                    }
                ],
                "items_amount": 12980,
                "adjustments": [],
                "tax_amount": 0,
                "amount": 12980,
                "amount_refunded": 0,
                "currency": "USD",
                "shipping_address": example_of(Address) | {"line2": None, "phone": None},
                "billing_address": None,
                "note": None,
                "shipping_method": None,
                "coupon": None,
                "payment": {"id": "018f5c41-5e9c-7d3c-9f25-80cdae623a05", "status": "requires_capture"},
                "created_at": "2026-03-01T10:00:00Z",
                "updated_at": "2026-03-01T10:00:00.412Z",
            }
        )
    )

    id: UUID
    number: int | None = Field(description="The number for people; null in an order of an earlier release.")
    status: Status
    reason: str | None
    email: str | None
    items: list[OrderItemOut]
    items_amount: int | None
    adjustments: list[AdjustmentOut]
    tax_amount: int | None = Field(description="All taxes, included or not.")
    amount: int | None
    amount_refunded: int
    currency: str | None
    shipping_address: AddressOut
    billing_address: AddressOut | None = Field(description="null: the shipping address.")
    note: str | None
    shipping_method: str | None
    coupon: str | None
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
            number=order.number,
            status=order.status,
            reason=order.reason,
            email=order.email,
            items_amount=order.items_amount,
            amount_refunded=order.amount_refunded,
            currency=order.currency,
            shipping_address=AddressOut.model_validate(order.shipping_address),
            billing_address=AddressOut.model_validate(order.billing_address)
            if order.billing_address
            else None,
            note=order.note,
            created_at=order.created_at,
            updated_at=order.updated_at,
            items=[OrderItemOut.of(line) for line in order.lines],
            adjustments=[AdjustmentOut.model_validate(each) for each in order.adjustments],
            tax_amount=order.tax_amount,
            amount=order.amount,
            shipping_method=order.shipping_method,
            coupon=order.coupon,
            payment=payment,
        )


EXAMPLE_ID = example_of(OrderOut)["id"]


class OrderPage(BaseModel):
    """Orders, newest first; with `updated_since`, in the order of their changes."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(OrderOut)], "next": None}))

    data: list[OrderOut]
    next: str | None = Field(
        description="null on the last page. With `updated_since` it is never null; an empty `data` then means"
        " that there are no further changes yet."
    )


class EventOut(BaseModel):
    """An event in the history of an order."""

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
    """The events of an order, oldest first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(EventOut)], "next": None}))

    data: list[EventOut]
    next: None = None
