"""Bodies of quotes: what an order would cost."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orders.domain import LARGEST_ID, MOST_LINES, Offer, Priced
from orders.schemas.addresses import DestinationIn
from orders.schemas.coupons import CouponCode
from orders.schemas.orders import CustomerEmail, ItemIn, limit_units
from orders.schemas.rules import Code
from orders.schemas.totals import AdjustmentOut, ShippingOptionOut
from shared.schemas import BLANK_IS_NONE, Body, Integer, example, example_of


class QuoteIn(Body):
    """An order to price. Without `items`, it is the cart, with the coupon and the delivery of the cart."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"items": [example_of(ItemIn)], "shipping_address": {"country": "US", "region": "IL"}}
        )
    )

    items: Annotated[list[ItemIn] | None, AfterValidator(limit_units)] = Field(
        default=None, min_length=1, max_length=MOST_LINES
    )
    cart_version: Annotated[Integer, Field(ge=0, le=LARGEST_ID)] | None = None
    shipping_address: DestinationIn | None = Field(
        default=None, description="Only the country, the region and the postal code matter."
    )
    shipping_method: Code | None = None
    coupon: Annotated[CouponCode | None, BLANK_IS_NONE] = None
    email: Annotated[CustomerEmail | None, BLANK_IS_NONE] = Field(
        default=None, description="A guest's, for coupons that each customer can use a number of times."
    )


class QuoteItemOut(BaseModel):
    """An item at its current price; `problem` is as in the cart."""

    product_id: int
    variant_id: int
    title: str
    quantity: int
    unit_amount: int
    amount: int
    discount_amount: int
    tax_rate: int | None = Field(description="In basis points: 1900 is 19 %.")
    tax_amount: int
    problem: str | None


class QuoteOut(BaseModel):
    """What the order would cost: `amount` is `items_amount` and all adjustments that are not included."""

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
                        "discount_amount": 0,
                        "tax_rate": None,
                        "tax_amount": 0,
                        "problem": None,
                    }
                ],
                "items_amount": 12980,
                "adjustments": [example_of(AdjustmentOut)],
                "tax_amount": 0,
                "amount": 13470,
                "currency": "USD",
                "shipping_options": [example_of(ShippingOptionOut)],
                "needs_shipping": True,
                "cart_version": None,
            }
        )
    )

    items: list[QuoteItemOut]
    items_amount: int
    adjustments: list[AdjustmentOut]
    tax_amount: int
    amount: int
    currency: str
    shipping_options: list[ShippingOptionOut]
    needs_shipping: bool = Field(description="Whether an order must name a shipping method.")
    cart_version: int | None = Field(description="Of the quoted cart; null for `items`.")

    @classmethod
    def of(cls, priced: Priced) -> "QuoteOut":
        """Return the quote as its customer sees it."""
        totals = priced.quote.totals
        return cls(
            items=[_show(priced, place) for place in range(len(totals.lines))],
            items_amount=totals.items_amount,
            adjustments=[AdjustmentOut.model_validate(each) for each in totals.adjustments],
            tax_amount=totals.tax_amount,
            amount=totals.amount,
            currency=priced.currency,
            shipping_options=[ShippingOptionOut.model_validate(each) for each in priced.quote.options],
            needs_shipping=priced.quote.needs_shipping,
            cart_version=priced.cart_version,
        )


def _show(priced: Priced, place: int) -> QuoteItemOut:
    parts = priced.quote.totals.lines[place]
    offer: Offer = priced.offers[parts.variant_id]
    quantity = priced.quantities[parts.variant_id]
    return QuoteItemOut(
        product_id=offer.parent_id,
        variant_id=parts.variant_id,
        title=offer.title,
        quantity=quantity,
        unit_amount=offer.unit_amount,
        amount=offer.unit_amount * quantity,
        discount_amount=parts.discount_amount,
        tax_rate=parts.tax_rate,
        tax_amount=parts.tax_amount,
        problem="insufficient_stock" if offer.stock < quantity else None,
    )
