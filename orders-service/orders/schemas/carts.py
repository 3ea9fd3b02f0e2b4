"""Bodies of the cart."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from orders.domain import MOST_UNITS, CartLine, Offer, StoredCart, find_problem
from orders.schemas.addresses import Country
from orders.schemas.coupons import CouponCode
from orders.schemas.rules import Code
from orders.schemas.totals import AdjustmentOut, ShippingOptionOut
from orders.totals import Quote
from shared.schemas import BLANK_IS_NONE, Body, Integer, Line, example

Quantity = Annotated[Integer, Field(ge=1, le=MOST_UNITS)]


class QuantityIn(Body):
    """The quantity of a variant."""

    model_config = ConfigDict(json_schema_extra=example({"quantity": 2}))

    quantity: Quantity


class CartCouponIn(Body):
    """The code of a coupon; null removes it."""

    model_config = ConfigDict(json_schema_extra=example({"code": "WELCOME10"}))

    code: Annotated[CouponCode | None, BLANK_IS_NONE]


class DeliveryIn(Body):
    """Where the cart would go, and the code of a shipping method."""

    model_config = ConfigDict(json_schema_extra=example({"country": "US", "region": "IL"}))

    country: Country = Field(description="ISO 3166-1 alpha-2.")
    region: Annotated[Line | None, Field(max_length=100), BLANK_IS_NONE] = None
    postal_code: Annotated[Line | None, Field(max_length=20), BLANK_IS_NONE] = None
    shipping_method: Code | None = None


class CartCouponOut(BaseModel):
    """The coupon of the cart; with a `problem`, it is not in the totals."""

    code: str
    problem: str | None


class DeliveryOut(BaseModel):
    """Where the cart would go; with a `problem`, the shipping method is not in the totals."""

    country: str | None
    region: str | None
    postal_code: str | None
    shipping_method: str | None
    problem: str | None


class CartItemOut(BaseModel):
    """A line of a cart; title and prices are null while the catalogue is unavailable."""

    product_id: int
    variant_id: int = Field(description="What is sold. The first variant has its product's number.")
    title: str | None
    quantity: int
    unit_amount: int | None
    amount: int | None
    previous_unit_amount: int | None = Field(
        description="The price when the quantity was last set; null if it has not changed since."
    )
    problem: str | None


class CartOut(BaseModel):
    """A cart at current prices."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "items": [
                    {
                        "product_id": 1,
                        "variant_id": 1,
                        "title": "Walnut Chopping Board with Juice Groove",
                        "quantity": 2,
                        "unit_amount": 6490,
                        "amount": 12980,
                        "previous_unit_amount": 6990,
                        "problem": "price_changed",
                    }
                ],
                "items_amount": 12980,
                "adjustments": [],
                "tax_amount": 0,
                "amount": 12980,
                "currency": "USD",
                "coupon": None,
                "delivery": None,
                "shipping_options": [],
                "needs_shipping": False,
                "version": 7,
            }
        )
    )

    items: list[CartItemOut]
    items_amount: int | None
    adjustments: list[AdjustmentOut]
    tax_amount: int | None
    amount: int | None = Field(description="With all adjustments that are not included.")
    currency: str | None
    coupon: CartCouponOut | None
    delivery: DeliveryOut | None
    shipping_options: list[ShippingOptionOut]
    needs_shipping: bool = Field(description="Whether an order must name a shipping method.")
    version: int = Field(
        description="Increases with every change. Send it to `POST /orders` as `cart_version`."
    )

    @classmethod
    def of(
        cls,
        cart: StoredCart,
        offers: Mapping[int, Offer] | None,
        currency: str | None,
        quote: Quote | None,
        *,
        coupon_problem: str | None,
        delivery_problem: str | None,
    ) -> "CartOut":
        """Return the priced cart; `quote` is None for an empty cart, or if an item has no price."""
        totals = quote.totals if quote else None
        nothing = None if cart.lines else 0
        return cls(
            items=[_price(line, offers) for line in cart.lines],
            items_amount=totals.items_amount if totals else nothing,
            adjustments=[AdjustmentOut.model_validate(each) for each in totals.adjustments] if totals else [],
            tax_amount=totals.tax_amount if totals else nothing,
            amount=totals.amount if totals else nothing,
            currency=currency,
            coupon=CartCouponOut(code=cart.coupon, problem=coupon_problem) if cart.coupon else None,
            delivery=DeliveryOut(**vars(cart.delivery), problem=delivery_problem)
            if cart.delivery.country
            else None,
            shipping_options=[ShippingOptionOut.model_validate(each) for each in quote.options]
            if quote
            else [],
            needs_shipping=bool(quote and quote.needs_shipping),
            version=cart.version,
        )


def _price(line: CartLine, offers: Mapping[int, Offer] | None) -> CartItemOut:
    offer = (offers or {}).get(line.product_id)
    return CartItemOut(
        product_id=offer.parent_id if offer else line.product_number,
        variant_id=line.product_id,
        title=offer.title if offer else None,
        quantity=line.quantity,
        unit_amount=offer.unit_amount if offer else None,
        amount=offer.unit_amount * line.quantity if offer else None,
        previous_unit_amount=line.find_previous_price(offer) if offer else None,
        problem=None if offers is None else find_problem(line, offer),
    )
