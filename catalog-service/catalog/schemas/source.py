"""Products in the source's format."""

import re
from decimal import Decimal
from typing import Annotated, Any
from unicodedata import category

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from catalog.domain import FIRST_LOCAL_ID, Offer, default_sku, to_minor_units
from shared.schemas import Line, Paragraphs, Text

CENTS = Decimal("0.01")
# Control characters and line separators, except NUL, which is rejected.
CONTROLS = re.compile(r"[\x01-\x1f\x7f-\x9f\u2028\u2029]+")
INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
SPACES = re.compile(r"[\s\x01-\x1f\x7f-\x9f]+")


def _refuse_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not a boolean")
    return value


def _is_blank(value: str) -> bool:
    return all(category(character) in INVISIBLE for character in value)


def _on_one_line(value: Any) -> Any:
    return CONTROLS.sub(" ", value).strip() if isinstance(value, str) else value


def _collapse_spaces(value: Any) -> Any:
    return SPACES.sub(" ", value).strip() if isinstance(value, str) else value


Name = Annotated[Text, BeforeValidator(_on_one_line)]
Sku = Annotated[Text, BeforeValidator(_collapse_spaces)]


class SourceProduct(BaseModel):
    """A product in the source's format; unknown members are ignored."""

    id: Annotated[int, BeforeValidator(_refuse_boolean)] = Field(ge=1, lt=FIRST_LOCAL_ID)
    title: Name = Field(max_length=500)
    price: Decimal = Field(ge=0, le=10_000_000)
    sku: Sku | None = Field(default=None, max_length=100)
    brand: Name | None = Field(default=None, max_length=200)
    category: Name = Field(default="other", max_length=100)
    description: Annotated[Paragraphs, Field(max_length=20_000)] = ""
    rating: Annotated[Decimal, BeforeValidator(_refuse_boolean)] | None = Field(default=None, ge=0, le=5)
    stock: Annotated[int, BeforeValidator(_refuse_boolean)] = Field(default=0, ge=0, le=2**31)
    images: list[Annotated[Line, Field(max_length=2000)]] = Field(default=[], max_length=50)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty_fields(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        return {
            name: value
            for name, value in raw.items()
            if value is not None and not (isinstance(value, str) and _is_blank(value))
        }

    def to_offer(self, currency: str) -> Offer:
        """Return the product as an offer."""
        return Offer(
            id=self.id,
            sku=self.sku or default_sku(self.id),
            title=self.title,
            brand=self.brand,
            category=self.category,
            unit_amount=to_minor_units(self.price, currency),
            description=self.description.replace("\0", ""),
            # Round like the column, so that the next copy finds no difference.
            rating=None if self.rating is None else self.rating.quantize(CENTS),
            source_on_hand=self.stock,
            images=self.images,
        )


# The fields that a product for sale does not need.
OPTIONAL = frozenset(name for name, field in SourceProduct.model_fields.items() if not field.is_required())
