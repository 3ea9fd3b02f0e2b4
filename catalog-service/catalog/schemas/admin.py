"""What an admin sends and is answered: products, stock, and copies of the source."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from catalog.domain import ManagedProduct, Stock, SyncReport, SyncStatus, to_minor_units, to_price
from catalog.schemas.products import ProductOut
from shared.errors import ValidationFailed
from shared.schemas import (
    BLANK_IS_NONE,
    Body,
    Integer,
    Line,
    Number,
    Paragraphs,
    example,
    example_of,
    is_blank,
)

OTHER = "other"  # The category of a product that has none.


def _name_no_category(value: Any) -> Any:
    return OTHER if is_blank(value) else value


Title = Annotated[Line, Field(max_length=500)]
Sku = Annotated[Line, StringConstraints(pattern=r"^\S+( \S+)*$", max_length=100)]
Brand = Annotated[Line, Field(max_length=200)]
Category = Annotated[Line, Field(max_length=100), BeforeValidator(_name_no_category)]
Description = Annotated[Paragraphs, Field(max_length=20_000)]
Rating = Annotated[Number, Field(ge=0, le=5, max_digits=3, decimal_places=2)]
Images = Annotated[list[Annotated[Line, Field(max_length=2000)]], Field(max_length=50)]
UnitAmount = Annotated[Integer, Field(ge=0, le=1_000_000_000, description="Minor units.")]
Price = Annotated[Number, Field(ge=0, le=10_000_000, description="`unit_amount` as a decimal number.")]
OnHand = Annotated[Integer, Field(ge=0, le=2**31)]

# Not None as a default, which the document would name.
NOT_SET: Any = Field(default_factory=lambda: None)
# What a product has that an admin can set, by the names of its columns.
DESCRIBED = ("sku", "title", "brand", "category", "unit_amount", "description", "rating", "images")
SourceField = Literal[
    "sku", "title", "brand", "category", "unit_amount", "description", "rating", "images", "stock"
]


class ProductFields(Body):
    """What is set of a product; `price` and `unit_amount` are two ways to say the same."""

    # What is not there is not set; only brand and rating can be set to nothing.
    sku: Sku = NOT_SET
    title: Title = NOT_SET
    brand: Annotated[Brand | None, BLANK_IS_NONE] = NOT_SET
    category: Category = NOT_SET
    unit_amount: UnitAmount = NOT_SET
    price: Price = NOT_SET
    description: Description = NOT_SET
    rating: Rating | None = NOT_SET
    images: Images = NOT_SET

    def read_values(self, currency: str) -> dict[str, Any]:
        """Return what is set by the names of columns; raise ValidationFailed if prices differ."""
        values = {name: getattr(self, name) for name in DESCRIBED if name in self.model_fields_set}
        if "price" in self.model_fields_set:
            amount = to_minor_units(self.price, currency)
            if to_price(amount, currency) != self.price:
                raise _refuse("price", f"It is finer than {currency} can be counted.")
            if values.setdefault("unit_amount", amount) != amount:
                raise _refuse("price", "It is not the same as unit_amount.")
        return values


class ProductIn(ProductFields):
    """A product of the shop's own; its price is required, as `unit_amount` or as `price`."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "title": "Beech Rolling Pin",
                "brand": "Tindlecroft",
                "category": "kitchen",
                "unit_amount": 2450,
                "description": "Turned from one piece, 45 cm long.",
                "on_hand": 40,
            }
        )
    )

    title: Title
    on_hand: OnHand = 0

    @model_validator(mode="before")
    @classmethod
    def _drop_blank_sku(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not is_blank(values.get("sku")):
            return values
        return {name: value for name, value in values.items() if name != "sku"}

    @model_validator(mode="after")
    def _check_price(self) -> Self:
        if not {"unit_amount", "price"} & self.model_fields_set:
            raise ValueError("unit_amount or price is required")
        return self

    def read_values(self, currency: str) -> dict[str, Any]:
        """Return all that a product is made of."""
        return {"category": OTHER, "description": "", "images": []} | super().read_values(currency)


class ProductChange(ProductFields):
    """What to change of a product that the caller saw at this `version`."""

    model_config = ConfigDict(json_schema_extra=example({"version": 1, "unit_amount": 5990}))

    version: Integer = Field(ge=1, le=2**53)
    follow_source: list[SourceField] = Field(
        default=[],
        max_length=9,
        description="What was set here and shall be again what the product source says.",
    )

    @model_validator(mode="after")
    def _check_fields(self) -> Self:
        set_here = self.model_fields_set | ({"unit_amount"} if "price" in self.model_fields_set else set())
        if both := sorted(set_here & set(self.follow_source)):
            raise ValueError(f"{both[0]} is both set and given back to the source")
        return self


class ManagedProductOut(ProductOut):
    """A product as an admin sees it."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {**example_of(ProductOut), "on_hand": 183, "reserved": 3, "edited": ["unit_amount"]}
        )
    )

    on_hand: int = Field(description="Units that are there, the reserved ones among them.")
    reserved: int = Field(description="Units that are held for orders.")
    edited: list[str] = Field(description="What was set here, and is left alone by copies of the source.")

    @classmethod
    def of_managed(cls, managed: ManagedProduct, currency: str) -> "ManagedProductOut":
        """Return the product as an admin sees it."""
        shown = ProductOut.of(managed.product, currency).model_dump()
        return cls(**shown, on_hand=managed.on_hand, reserved=managed.reserved, edited=list(managed.edited))


class CountIn(Body):
    """How many units were counted."""

    model_config = ConfigDict(json_schema_extra=example({"on_hand": 183}))

    on_hand: OnHand = Field(description="Units that are there, the reserved ones among them.")


class StockOut(BaseModel):
    """What there is of a product; `stock` of it can be sold now."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"product_id": 1, "on_hand": 183, "reserved": 3, "stock": 180, "shortfall": 0}
        )
    )

    product_id: int
    on_hand: int
    reserved: int
    stock: int
    shortfall: int = Field(description="Units that the source has taken away since they were held.")

    @classmethod
    def of(cls, stock: Stock) -> "StockOut":
        """Return the stock as callers see it."""
        return cls(**vars(stock), stock=stock.on_hand - stock.reserved)


class SyncIn(Body):
    """How the product source is to be copied."""

    model_config = ConfigDict(json_schema_extra=example({"overwrite": False, "allow_removals": False}))

    overwrite: bool = Field(default=False, description="Give back to the source what was edited here.")
    allow_removals: bool = Field(default=False, description="Believe the source however much it has lost.")


class RejectionOut(BaseModel):
    """A product of the source that was left out, and why."""

    id: int | None
    reason: str


class AdjustmentOut(BaseModel):
    """A field of a product of the source that was left out or is something else here, and why.

    The product is for sale.
    """

    id: int
    field: str
    reason: str


class SyncOut(BaseModel):
    """What came of a copy of the product source; the first 100 rejections and adjustments are named."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": 7,
                "source": "http://products.example/api",
                "status": "done",
                "overwrite": False,
                "allow_removals": False,
                "started_at": "2026-03-01T09:30:00Z",
                "finished_at": "2026-03-01T09:30:02Z",
                "pages": 2,
                "unchanged_pages": 1,
                "added": 3,
                "changed": 5,
                "removed": 0,
                "rejected_count": 1,
                "rejected": [{"id": 99, "reason": "price: Field required"}],
                "adjusted_count": 1,
                "adjusted": [
                    {"id": 98, "field": "rating", "reason": "Input should be less than or equal to 5"}
                ],
                "detail": None,
            }
        )
    )

    id: int
    source: str
    status: SyncStatus
    overwrite: bool
    allow_removals: bool
    started_at: datetime
    finished_at: datetime | None
    pages: int
    unchanged_pages: int = Field(description="Pages that the source said have not changed (304).")
    added: int
    changed: int
    removed: int
    rejected_count: int
    rejected: list[RejectionOut] = Field(description="Products that were left out.")
    adjusted_count: int
    adjusted: list[AdjustmentOut] = Field(description="Products that are for sale without what was wrong.")
    detail: str | None

    @classmethod
    def of(cls, report: SyncReport) -> "SyncOut":
        """Return the report as callers see it."""
        return cls.model_validate(report, from_attributes=True)


def _refuse(field: str, detail: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"location": "json", "field": field, "detail": detail}])
