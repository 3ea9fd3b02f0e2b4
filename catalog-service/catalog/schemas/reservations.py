"""Request and response bodies for orders-service: stock for orders, and prices."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from catalog.domain import MAX_ID, Line, Reservation, State
from catalog.variants import PricedVariant
from shared.schemas import Integer, InternalBody, Text, example


class ItemIn(InternalBody):
    """A variant, by its own number, and a quantity."""

    product_id: Integer = Field(ge=1, le=MAX_ID)
    quantity: Integer = Field(ge=1, le=10_000)
    only_variant: bool = Field(
        default=False, description="true: the number is a product's, which must have one variant."
    )


class ReservationIn(InternalBody):
    """The items to hold and their customer; quantities of the same variant are added up."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"customer": "018f5c3e-7a10-7c44-9d21-4b8f6a2e1c01", "items": [{"product_id": 1, "quantity": 2}]}
        ),
    )

    customer: Text = Field(max_length=200)
    items: list[ItemIn] = Field(min_length=1, max_length=100)

    @property
    def quantities(self) -> dict[int, int]:
        """Return the quantity of each variant, by id."""
        sums: dict[int, int] = {}
        for item in sorted(self.items, key=lambda item: item.product_id):
            sums[item.product_id] = sums.get(item.product_id, 0) + item.quantity
        return sums

    @property
    def products(self) -> list[int]:
        """Return the numbers that stand for the only variant of a product."""
        return sorted({item.product_id for item in self.items if item.only_variant})


class LineOut(BaseModel):
    """A line of a reservation, at the price when the stock was first held.

    `product_id` is the variant's own number, and `parent_id` its product's.
    """

    product_id: int
    parent_id: int
    sku: str
    title: str
    quantity: int
    unit_amount: int
    amount: int
    tax_class: str | None
    weight_grams: int | None
    category: str | None = Field(description="A path; null in a reservation of an earlier release.")

    @classmethod
    def of(cls, line: Line) -> "LineOut":
        """Return the response body for a line."""
        parent = line.parent_id or line.product_id
        return cls.model_validate({**vars(line), "parent_id": parent, "amount": line.amount})


class ReservationOut(BaseModel):
    """A reservation that holds stock, with its lines by product."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "order_id": "018f5c41-5d80-7a2b-8e14-7fbc9d512f04",
                "state": "held",
                "expires_at": "2026-03-01T10:15:00Z",
                "items": [
                    {
                        "product_id": 1,
                        "parent_id": 1,
                        "sku": "KIT-0001",
                        "title": "Walnut Chopping Board with Juice Groove",
                        "quantity": 2,
                        "unit_amount": 6490,
                        "amount": 12980,
                        "tax_class": None,
                        "weight_grams": 1800,
                        "category": "kitchen",
                    }
                ],
                "amount": 12980,
                "currency": "USD",
            }
        )
    )

    order_id: UUID
    state: Literal[State.HELD]
    expires_at: datetime
    items: list[LineOut]
    amount: int
    currency: str

    @classmethod
    def of(cls, reservation: Reservation) -> "ReservationOut":
        """Return the response body for a reservation."""
        items = [LineOut.of(line) for line in reservation.lines]
        amount = sum(item.amount for item in items)
        return cls.model_validate({**vars(reservation), "items": items, "amount": amount})


class ReservationStateOut(BaseModel):
    """The current state of a reservation."""

    model_config = ConfigDict(
        json_schema_extra=example({"order_id": "018f5c41-5d80-7a2b-8e14-7fbc9d512f04", "state": "committed"})
    )

    order_id: UUID
    state: State


class PriceQuery(BaseModel):
    """The variants whose prices to return."""

    model_config = ConfigDict(extra="forbid")

    ids: str = Field(
        pattern=r"^[1-9][0-9]{0,15}(,[1-9][0-9]{0,15}){0,99}$",
        description="Up to 100 ids, separated by commas.",
    )

    @property
    def numbers(self) -> set[int]:
        """Return the ids, each once."""
        return {int(number) for number in self.ids.split(",")}


class PriceOut(BaseModel):
    """The current title, price and stock of a variant.

    `product_id` is the variant's own number, and `parent_id` its product's.
    """

    product_id: int
    parent_id: int
    sku: str
    title: str
    unit_amount: int
    compare_at_amount: int | None
    stock: int
    tax_class: str | None
    weight_grams: int | None
    category: str = Field(description="A path.")
    is_only_variant: bool = Field(description="Whether the product's number is enough to order it.")

    @classmethod
    def of(cls, priced: PricedVariant) -> "PriceOut":
        """Return the response body for a variant."""
        variant = priced.variant
        return cls(
            product_id=variant.id,
            parent_id=variant.product_id,
            sku=variant.sku,
            title=variant.line_title,
            unit_amount=variant.unit_amount,
            compare_at_amount=variant.crossed_out_amount,
            stock=variant.stock,
            tax_class=priced.tax_class,
            weight_grams=variant.weight_grams,
            category=priced.category,
            is_only_variant=priced.is_only_variant,
        )


class PriceList(BaseModel):
    """Prices by variant; variants that are not for sale are left out."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "data": [
                    {
                        "product_id": 1,
                        "parent_id": 1,
                        "sku": "KIT-0001",
                        "title": "Walnut Chopping Board with Juice Groove",
                        "unit_amount": 6490,
                        "compare_at_amount": None,
                        "stock": 180,
                        "tax_class": None,
                        "weight_grams": 1800,
                        "category": "kitchen",
                        "is_only_variant": True,
                    }
                ],
                "currency": "USD",
            }
        )
    )

    data: list[PriceOut]
    currency: str
