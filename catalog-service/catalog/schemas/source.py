"""Products in the source's format."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from catalog.domain import FIRST_LOCAL_ID, Offer, OfferedVariant, default_sku, to_minor_units
from catalog.schemas.source_fields import Name, Sku, is_blank, refuse_boolean
from catalog.schemas.source_variants import ReadVariants, read_variants
from shared.schemas import Line, Paragraphs

CENTS = Decimal("0.01")


class SourceProduct(BaseModel):
    """A product in the source's format; unknown members are ignored."""

    id: Annotated[int, BeforeValidator(refuse_boolean)] = Field(ge=1, lt=FIRST_LOCAL_ID)
    title: Name = Field(max_length=500)
    price: Decimal = Field(ge=0, le=10_000_000)
    sku: Sku | None = Field(default=None, max_length=100)
    brand: Name | None = Field(default=None, max_length=200)
    category: Name = Field(default="other", max_length=100)
    description: Annotated[Paragraphs, Field(max_length=20_000)] = ""
    rating: Annotated[Decimal, BeforeValidator(refuse_boolean)] | None = Field(default=None, ge=0, le=5)
    stock: Annotated[int, BeforeValidator(refuse_boolean)] = Field(default=0, ge=0, le=2**31)
    images: list[Annotated[Line, Field(max_length=2000)]] = Field(default=[], max_length=50)
    # Each variant is read by itself, so that an invalid one does not affect the others.
    options: Any = None
    variants: Any = None

    @model_validator(mode="before")
    @classmethod
    def _drop_empty_fields(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        return {
            name: value
            for name, value in raw.items()
            if value is not None and not (isinstance(value, str) and is_blank(value))
        }

    def to_offer(self, currency: str) -> tuple[Offer, list[str]]:
        """Return the product as an offer, and what was wrong with its variants."""
        found = read_variants(self.options, self.variants, currency)
        sold = self._find_first(found)
        offer = Offer(
            id=self.id,
            sku=sold.sku if sold else self.sku or default_sku(self.id),
            title=self.title,
            brand=self.brand,
            category=self.category,
            unit_amount=sold.unit_amount if sold else to_minor_units(self.price, currency),
            description=self.description.replace("\0", ""),
            # Round like the column, so that the next copy finds no difference.
            rating=None if self.rating is None else self.rating.quantize(CENTS),
            source_on_hand=sold.source_on_hand if sold else self.stock,
            images=self.images,
            options=found.options,
            variants=tuple(found.variants),
        )
        return offer, found.reasons

    def _find_first(self, found: ReadVariants) -> OfferedVariant | None:
        """Return the variant of a new product's own row: the one with the product's SKU, or the first."""
        same = [variant for variant in found.variants if variant.sku == self.sku]
        return next(iter([*same, *found.variants]), found.only)


# The fields that a product for sale does not need.
OPTIONAL = frozenset(name for name, field in SourceProduct.model_fields.items() if not field.is_required())
