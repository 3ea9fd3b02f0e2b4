"""What catalog-service takes and gives."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from catalog.domain import LARGEST_ID, Offer, Product, to_minor_units, to_price
from shared.schemas import Text


def _none_if_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


class ProductOut(BaseModel):
    """A product; `price` is the decimal number the tutorial shows, `unit_amount` the same in minor units."""

    id: int
    sku: str
    title: str
    brand: str | None
    category: str
    price: float
    unit_amount: int
    currency: str
    description: str
    rating: float | None
    stock: int = Field(description="How many can be sold now.")
    images: list[str]
    version: int
    updated_at: datetime

    @classmethod
    def of(cls, product: Product, currency: str) -> "ProductOut":
        """Return the product as callers see it."""
        price = float(to_price(product.unit_amount, currency))
        return cls(**vars(product), price=price, currency=currency)


class ProductPage(BaseModel):
    """Products by id, and the cursor of the page after."""

    data: list[ProductOut]
    next: str | None


class SourceProduct(BaseModel):
    """A product in a source's words; whatever else is there is passed over."""

    id: int = Field(ge=1, le=LARGEST_ID)
    title: Text = Field(max_length=500)
    price: Decimal = Field(ge=0, le=10_000_000)
    sku: Text | None = Field(default=None, max_length=100)
    brand: Annotated[Text | None, BeforeValidator(_none_if_blank)] = Field(default=None, max_length=200)
    category: Text = Field(default="other", max_length=100)
    description: Annotated[str, Field(max_length=20_000)] = ""
    rating: Decimal | None = Field(default=None, ge=0, le=5)
    stock: int = Field(default=0, ge=0, le=2**31)
    images: list[Annotated[Text, Field(max_length=2000)]] = Field(default=[], max_length=50)

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
            rating=self.rating,
            on_hand=self.stock,
            images=self.images,
        )
