"""Request and response bodies for admins: products, stock, and copies of the source."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from catalog.domain import ManagedProduct, SyncReport, SyncStatus
from catalog.schemas.bodies import describe_product
from catalog.schemas.fields import NOT_SET, SOLD, NewFields, OnHand, SoldFields
from catalog.schemas.products import ProductOut
from catalog.schemas.variants import Options, VariantIn, VariantValues, to_options
from catalog.variants import MAX_VARIANTS, NewVariant, Option, OptionValues, Variant
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
Brand = Annotated[Line, Field(max_length=200)]
Category = Annotated[Line, Field(max_length=100), BeforeValidator(_default_category)]
MAX_SLUG = 100
Slug = Annotated[Line, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=MAX_SLUG)]
Description = Annotated[Paragraphs, Field(max_length=20_000)]
Rating = Annotated[Number, Field(ge=0, le=5, max_digits=3, decimal_places=2)]
Images = Annotated[list[Annotated[Line, Field(max_length=2000)]], Field(max_length=50)]
TaxClass = Annotated[Line, Field(max_length=50)]

# The columns of a product that an admin can set.
DESCRIBED = ("title", "brand", "category", "description", "rating", "images", "tax_class")
SourceField = Literal[
    "sku",
    "title",
    "brand",
    "category",
    "unit_amount",
    "description",
    "rating",
    "images",
    "stock",
    "options",
]


class ProductFields(SoldFields):
    """The writable fields of a product, and those of its only variant."""

    title: Title = NOT_SET
    brand: Annotated[Brand | None, BLANK_IS_NONE] = NOT_SET
    category: Category = NOT_SET
    description: Description = NOT_SET
    rating: Rating | None = NOT_SET
    images: Images = NOT_SET
    tax_class: Annotated[TaxClass | None, BLANK_IS_NONE] = NOT_SET

    def read_values(self, currency: str) -> dict[str, Any]:
        """Return the given values by column; raise ValidationFailed if `price` and `unit_amount` differ."""
        values = {name: getattr(self, name) for name in DESCRIBED if name in self.model_fields_set}
        if "metadata" in self.model_fields_set:
            values["product_metadata"] = self.metadata
        return values | super().read_values(currency)


class ProductIn(ProductFields, NewFields):
    """A product of the shop's own: with one variant, or with options and their `variants`."""

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
    options: Options = []
    variants: list[VariantIn] = Field(default=[], max_length=MAX_VARIANTS)

    @property
    def is_priced(self) -> bool:
        """Return whether the body itself has the price."""
        return not self.variants

    @model_validator(mode="after")
    def _check_variants(self) -> Self:
        if self.variants and (both := sorted(self.model_fields_set & {*SOLD, "price", "on_hand"})):
            raise ValueError(f"{both[0]} belongs to the variants")
        if bool(self.variants) != bool(self.options):
            raise ValueError("options and variants go together")
        return self

    def read_values(self, currency: str) -> dict[str, Any]:
        """Return the values of a new product by column, with defaults for absent fields."""
        return {"category": OTHER, "description": "", "images": []} | super().read_values(currency)

    def read_variants(self, currency: str) -> list[NewVariant]:
        """Return the variants of a new product; one without options has its own values."""
        if self.is_priced:
            return [NewVariant({}, self.on_hand)]
        return [variant.read_new(currency) for variant in self.variants]


class ProductChange(ProductFields):
    """Changes to a product that the caller read at this `version`."""

    model_config = ConfigDict(json_schema_extra=example({"version": 1, "unit_amount": 5990}))

    version: Integer = Field(ge=1, le=2**53)
    slug: Slug = NOT_SET
    follow_source: list[SourceField] = Field(
        default=[],
        max_length=10,
        description="Edited fields that the product source controls again.",
    )
    options: Options = NOT_SET
    variants: list[VariantValues] = Field(
        default=[],
        max_length=MAX_VARIANTS,
        description="The option values that these variants have from now on; the others keep theirs.",
    )

    @property
    def new_options(self) -> tuple[Option, ...] | None:
        """Return the new options, or None to keep them."""
        return to_options(self.options) if "options" in self.model_fields_set else None

    @property
    def new_values(self) -> dict[int, OptionValues | None]:
        """Return the new option values by variant."""
        return {variant.id: variant.options or None for variant in self.variants}

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
            {
                **example_of(ProductOut),
                "on_hand": 183,
                "reserved": 3,
                "edited": ["unit_amount"],
                "metadata": {"material": "walnut"},
                "weight_grams": 1450,
                "low_stock_threshold": 20,
            }
        )
    )

    on_hand: int = Field(description="Units on hand, reserved ones included.")
    reserved: int = Field(description="Units held for orders.")
    edited: list[str] = Field(
        description="Fields set by an admin; copies of the source do not overwrite them."
    )
    metadata: dict[str, Any]
    weight_grams: int | None = Field(description="Of the first variant.")
    low_stock_threshold: int | None = Field(description="Of the first variant.")

    @classmethod
    def of_managed(cls, managed: ManagedProduct, currency: str) -> "ManagedProductOut":
        """Return the product as an admin sees it."""
        shown = describe_product(managed.product, currency)
        own = {name: value for name, value in vars(managed).items() if name != "product"}
        # An admin sees a crossed-out price also while it is not shown.
        own |= {"compare_at_amount": managed.product.compare_at_amount, "edited": list(managed.edited)}
        return cls.model_validate({**shown, **own})


class CountIn(Body):
    """The result of a stock count."""

    model_config = ConfigDict(json_schema_extra=example({"on_hand": 183}))

    on_hand: OnHand = Field(description="Units on hand, reserved ones included.")


class StockOut(BaseModel):
    """The stock of a variant; `stock` units are available for sale."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"product_id": 1, "variant_id": 1, "on_hand": 183, "reserved": 3, "stock": 180, "shortfall": 0}
        )
    )

    product_id: int
    variant_id: int
    on_hand: int
    reserved: int
    stock: int
    shortfall: int = Field(description="Reserved units that the source has since withdrawn.")

    @classmethod
    def of(cls, variant: Variant) -> "StockOut":
        """Return the response body for the stock of a variant."""
        counts = {**vars(variant), "stock": variant.stock}
        return cls.model_validate({**counts, "product_id": variant.product_id, "variant_id": variant.id})


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
