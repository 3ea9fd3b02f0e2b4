"""Products in a source's words."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from catalog.domain import FIRST_LOCAL_ID, Offer, to_minor_units
from shared.schemas import Text

CENTS = Decimal("0.01")


def _refuse_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("is true or false, and not a number")
    return value


class SourceProduct(BaseModel):
    """A product in a source's words; whatever else is there is passed over."""

    id: Annotated[int, BeforeValidator(_refuse_truth)] = Field(ge=1, lt=FIRST_LOCAL_ID)
    title: Text = Field(max_length=500)
    price: Decimal = Field(ge=0, le=10_000_000)
    sku: Text | None = Field(default=None, max_length=100)
    brand: Text | None = Field(default=None, max_length=200)
    category: Text = Field(default="other", max_length=100)
    description: Annotated[str, Field(max_length=20_000)] = ""
    rating: Decimal | None = Field(default=None, ge=0, le=5)
    stock: Annotated[int, BeforeValidator(_refuse_truth)] = Field(default=0, ge=0, le=2**31)
    images: list[Annotated[Text, Field(max_length=2000)]] = Field(default=[], max_length=50)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_says_nothing(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        return {
            name: value
            for name, value in raw.items()
            if value is not None and not (isinstance(value, str) and not value.strip())
        }

    def to_offer(self, currency: str) -> Offer:
        """Return the product in our words."""
        return Offer(
            id=self.id,
            sku=self.sku or f"P-{self.id}",
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
