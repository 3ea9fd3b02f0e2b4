"""Products in a source's words."""

import re
from decimal import Decimal
from typing import Annotated, Any
from unicodedata import category

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from catalog.domain import FIRST_LOCAL_ID, Offer, name_by_id, to_minor_units
from shared.schemas import Line, Paragraphs, Text

CENTS = Decimal("0.01")
# Characters that end or control a line, but for NUL, which is refused.
CONTROLS = re.compile(r"[\x01-\x1f\x7f-\x9f\u2028\u2029]+")
INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
BLANKS = re.compile(r"[\s\x01-\x1f\x7f-\x9f]+")


def _refuse_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("is true or false, and not a number")
    return value


def _is_blank(value: str) -> bool:
    return all(category(sign) in INVISIBLE for sign in value)


def _on_one_line(value: Any) -> Any:
    return CONTROLS.sub(" ", value).strip() if isinstance(value, str) else value


def _with_single_blanks(value: Any) -> Any:
    return BLANKS.sub(" ", value).strip() if isinstance(value, str) else value


Name = Annotated[Text, BeforeValidator(_on_one_line)]
Sku = Annotated[Text, BeforeValidator(_with_single_blanks)]


class SourceProduct(BaseModel):
    """A product in a source's words; whatever else is there is passed over."""

    id: Annotated[int, BeforeValidator(_refuse_truth)] = Field(ge=1, lt=FIRST_LOCAL_ID)
    title: Name = Field(max_length=500)
    price: Decimal = Field(ge=0, le=10_000_000)
    sku: Sku | None = Field(default=None, max_length=100)
    brand: Name | None = Field(default=None, max_length=200)
    category: Name = Field(default="other", max_length=100)
    description: Annotated[Paragraphs, Field(max_length=20_000)] = ""
    rating: Annotated[Decimal, BeforeValidator(_refuse_truth)] | None = Field(default=None, ge=0, le=5)
    stock: Annotated[int, BeforeValidator(_refuse_truth)] = Field(default=0, ge=0, le=2**31)
    images: list[Annotated[Line, Field(max_length=2000)]] = Field(default=[], max_length=50)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_says_nothing(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        return {
            name: value
            for name, value in raw.items()
            if value is not None and not (isinstance(value, str) and _is_blank(value))
        }

    def to_offer(self, currency: str) -> Offer:
        """Return the product in our words."""
        return Offer(
            id=self.id,
            sku=self.sku or name_by_id(self.id),
            title=self.title,
            brand=self.brand,
            category=self.category,
            unit_amount=to_minor_units(self.price, currency),
            description=self.description.replace("\0", ""),
            # As the column rounds it, so that it is the same the next time.
            rating=None if self.rating is None else self.rating.quantize(CENTS),
            source_on_hand=self.stock,
            images=self.images,
        )


# What a product can be sold without.
OPTIONAL = frozenset(name for name, field in SourceProduct.model_fields.items() if not field.is_required())
