"""Bodies of the cart."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from orders.domain import MOST_UNITS, CartLine, Offer, find_previous_amount, find_problem
from shared.schemas import Body, Integer, example

Quantity = Annotated[Integer, Field(ge=1, le=MOST_UNITS)]


class QuantityIn(Body):
    """The quantity of a product."""

    model_config = ConfigDict(json_schema_extra=example({"quantity": 2}))

    quantity: Quantity


class CartItemOut(BaseModel):
    """A line of a cart; title and prices are null while the catalogue is unavailable."""

    product_id: int
    title: str | None
    quantity: int
    unit_amount: int | None
    amount: int | None
    previous_unit_amount: int | None = Field(
        description="The price when the line was added, if it has changed since."
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
                        "title": "Walnut Chopping Board with Juice Groove",
                        "quantity": 2,
                        "unit_amount": 6490,
                        "amount": 12980,
                        "previous_unit_amount": None,
                        "problem": None,
                    }
                ],
                "amount": 12980,
                "currency": "USD",
                "version": 7,
            }
        )
    )

    items: list[CartItemOut]
    amount: int | None
    currency: str | None
    version: int = Field(
        description="Increases with every change. Send it to `POST /orders` as `cart_version`."
    )

    @classmethod
    def of(
        cls,
        lines: tuple[CartLine, ...],
        offers: Mapping[int, Offer] | None,
        currency: str | None,
        version: int,
    ) -> "CartOut":
        """Return the priced cart; `offers` is None while the catalogue is unavailable."""
        items = [_price(line, offers) for line in lines]
        amounts = [item.amount for item in items]
        total = None if None in amounts else sum(amount for amount in amounts if amount is not None)
        amount = total if offers is not None else None
        return cls(items=items, amount=amount, currency=currency, version=version)


def _price(line: CartLine, offers: Mapping[int, Offer] | None) -> CartItemOut:
    offer = (offers or {}).get(line.product_id)
    return CartItemOut(
        product_id=line.product_id,
        title=offer.title if offer else None,
        quantity=line.quantity,
        unit_amount=offer.unit_amount if offer else None,
        amount=offer.unit_amount * line.quantity if offer else None,
        previous_unit_amount=find_previous_amount(line, offer),
        problem=None if offers is None else find_problem(line, offer),
    )
