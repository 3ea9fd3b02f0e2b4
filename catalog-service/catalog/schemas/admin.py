"""Request and response bodies for admins: products, stock, and copies of the source."""

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

OTHER = "other"  # The category of a product without one.


def _default_category(value: Any) -> Any:
    return OTHER if is_blank(value) else value


Title = Annotated[Line, Field(max_length=500)]
Sku = Annotated[Line, StringConstraints(pattern=r"^\S+( \S+)*$", max_length=100)]
Brand = Annotated[Line, Field(max_length=200)]
Category = Annotated[Line, Field(max_length=100), BeforeValidator(_default_category)]
Slug = Annotated[Line, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
Description = Annotated[Paragraphs, Field(max_length=20_000)]
Rating = Annotated[Number, Field(ge=0, le=5, max_digits=3, decimal_places=2)]
Images = Annotated[list[Annotated[Line, Field(max_length=2000)]], Field(max_length=50)]
UnitAmount = Annotated[Integer, Field(ge=0, le=1_000_000_000, description="Minor units.")]
Price = Annotated[Number, Field(ge=0, le=10_000_000, description="`unit_amount` as a decimal number.")]
OnHand = Annotated[Integer, Field(ge=0, le=2**31)]

# A default of None would appear in the OpenAPI document.
NOT_SET: Any = Field(default_factory=lambda: None)
# The columns of a product that an admin can set.
DESCRIBED = ("sku", "title", "brand", "category", "unit_amount", "description", "rating", "images")
SourceField = Literal[
    "sku", "title", "brand", "category", "unit_amount", "description", "rating", "images", "stock"
]


class ProductFields(Body):
    """The writable fields of a product; `price` and `unit_amount` are alternatives."""

    # An absent field stays as it is; only brand and rating can be cleared.
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
        """Return the given values by column; raise ValidationFailed if `price` and `unit_amount` differ."""
        values = {name: getattr(self, name) for name in DESCRIBED if name in self.model_fields_set}
        if "price" in self.model_fields_set:
            amount = to_minor_units(self.price, currency)
            if to_price(amount, currency) != self.price:
                raise _refuse("price", f"It has more decimal places than {currency} allows.")
            if values.setdefault("unit_amount", amount) != amount:
                raise _refuse("price", "It does not match unit_amount.")
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
        """Return the values of a new product by column, with defaults for absent fields."""
        return {"category": OTHER, "description": "", "images": []} | super().read_values(currency)


class ProductChange(ProductFields):
    """Changes to a product that the caller read at this `version`."""

    model_config = ConfigDict(json_schema_extra=example({"version": 1, "unit_amount": 5990}))

    version: Integer = Field(ge=1, le=2**53)
    slug: Slug = NOT_SET
    follow_source: list[SourceField] = Field(
        default=[],
        max_length=9,
        description="Edited fields that the product source controls again.",
    )

    def read_values(self, currency: str) -> dict[str, Any]:
        """Return the given values by column, and the slug."""
        values = super().read_values(currency)
        return {**values, "slug": self.slug} if "slug" in self.model_fields_set else values

    @model_validator(mode="after")
    def _check_fields(self) -> Self:
        given = self.model_fields_set | ({"unit_amount"} if "price" in self.model_fields_set else set())
        if both := sorted(given & set(self.follow_source)):
            raise ValueError(f"{both[0]} is both set and listed in follow_source")
        return self


class ManagedProductOut(ProductOut):
    """A product as an admin sees it."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {**example_of(ProductOut), "on_hand": 183, "reserved": 3, "edited": ["unit_amount"]}
        )
    )

    on_hand: int = Field(description="Units on hand, reserved ones included.")
    reserved: int = Field(description="Units held for orders.")
    edited: list[str] = Field(
        description="Fields set by an admin; copies of the source do not overwrite them."
    )

    @classmethod
    def of_managed(cls, managed: ManagedProduct, currency: str) -> "ManagedProductOut":
        """Return the product as an admin sees it."""
        shown = ProductOut.of(managed.product, currency).model_dump()
        return cls(**shown, on_hand=managed.on_hand, reserved=managed.reserved, edited=list(managed.edited))


class CountIn(Body):
    """The result of a stock count."""

    model_config = ConfigDict(json_schema_extra=example({"on_hand": 183}))

    on_hand: OnHand = Field(description="Units on hand, reserved ones included.")


class StockOut(BaseModel):
    """The stock of a product; `stock` units are available for sale."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"product_id": 1, "on_hand": 183, "reserved": 3, "stock": 180, "shortfall": 0}
        )
    )

    product_id: int
    on_hand: int
    reserved: int
    stock: int
    shortfall: int = Field(description="Reserved units that the source has since withdrawn.")

    @classmethod
    def of(cls, stock: Stock) -> "StockOut":
        """Return the response body for a stock."""
        return cls(**vars(stock), stock=stock.on_hand - stock.reserved)


class SyncIn(Body):
    """Options of a copy of the product source."""

    model_config = ConfigDict(json_schema_extra=example({"overwrite": False, "allow_removals": False}))

    overwrite: bool = Field(default=False, description="Overwrite edits with the values of the source.")
    allow_removals: bool = Field(default=False, description="Accept any number of removals.")


class RejectionOut(BaseModel):
    """A source product that was left out, and why."""

    id: int | None
    reason: str


class AdjustmentOut(BaseModel):
    """A field of a source product that was left out or changed, and why; the product is for sale."""

    id: int
    field: str
    reason: str


class SyncOut(BaseModel):
    """The report of a copy of the product source; it lists the first 100 rejections and adjustments."""

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
    unchanged_pages: int = Field(description="Pages that the source reported as unchanged (304).")
    added: int
    changed: int
    removed: int
    rejected_count: int
    rejected: list[RejectionOut] = Field(description="Source products that were left out.")
    adjusted_count: int
    adjusted: list[AdjustmentOut] = Field(
        description="Products that are for sale with a field left out or changed."
    )
    detail: str | None

    @classmethod
    def of(cls, report: SyncReport) -> "SyncOut":
        """Return the response body for a report."""
        return cls.model_validate(report, from_attributes=True)


def _refuse(field: str, detail: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"location": "json", "field": field, "detail": detail}])
