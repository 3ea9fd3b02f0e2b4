"""Products as callers see them, and what they can be looked for by."""

from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from catalog.domain import Count, Facets, Filter, Product, Sort, to_minor_units, to_price
from shared.pages import PageQuery
from shared.schemas import Text, example, example_of


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _none_if_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Names = Annotated[
    list[Annotated[Text, Field(max_length=200)]], Field(max_length=20), BeforeValidator(_as_list)
]
Price = Annotated[Decimal, Field(ge=0, le=10_000_000, max_digits=30, decimal_places=20)]


class ProductQuery(PageQuery):
    """Which products are wanted, in which order; a parameter that is not known is refused."""

    cursor: str | None = Field(
        default=None,
        max_length=2000,
        description="`next` of the page before, with the same filters and order.",
    )
    q: Annotated[Text | None, BeforeValidator(_none_if_blank)] = Field(
        default=None,
        max_length=200,
        description='Words, as in a web search: `walnut board`, `"bread crock"`, `lamp or candle -desk`.',
    )
    category: Names = Field(default=[], description="A category's name; repeated: any of these.")
    brand: Names = Field(default=[], description="A brand's name; repeated: any of these.")
    min_price: Price | None = Field(default=None, description="The lowest price, as `price` shows it.")
    max_price: Price | None = Field(default=None, description="The highest price, as `price` shows it.")
    in_stock: bool | None = Field(default=None, description="true: can be sold now; false: sold out.")
    sort: Sort | None = Field(
        default=None,
        description="`rating` and `newest` begin with the best and the latest. Without it, by id; with `q`, "
        "by how well the words fit, which of more than 1000 products is told for 1000 only.",
    )
    facets: bool = Field(default=False, description="true: tell what there is to choose from, too.")

    def to_filter(self, currency: str) -> Filter:
        """Return what is wanted, with prices in minor units that include no product outside."""
        return Filter(
            words=self.q,
            categories=tuple(sorted(set(self.category))),
            brands=tuple(sorted(set(self.brand))),
            lowest=_to_amount(self.min_price, currency, ROUND_CEILING),
            highest=_to_amount(self.max_price, currency, ROUND_FLOOR),
            in_stock=self.in_stock,
        )

    @property
    def order(self) -> Sort | None:
        """Return the order, or None for that of a search by words."""
        return self.sort or (None if self.q else Sort.ID)


class ProductOut(BaseModel):
    """A product; `price` is the decimal number the tutorial shows, `unit_amount` the same in minor units."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": 1,
                "sku": "KIT-0001",
                "title": "Walnut Chopping Board with Juice Groove",
                "brand": "Tindlecroft",
                "category": "kitchen",
                "price": 64.9,
                "unit_amount": 6490,
                "currency": "USD",
                "description": "Cut from a single plank of oiled walnut, 40 by 28 cm and 25 mm thick.",
                "rating": 4.7,
                "stock": 180,
                "images": ["/images/kit-0001.svg"],
                "version": 1,
                "updated_at": "2026-03-01T09:30:00Z",
            }
        )
    )

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


class CountOut(BaseModel):
    """A category or a brand, and how many products it has."""

    name: str
    count: int

    @classmethod
    def of(cls, count: Count) -> "CountOut":
        """Return the count as callers see it."""
        return cls(**vars(count))


class PriceRangeOut(BaseModel):
    """The lowest and the highest price; null if nothing fits."""

    min: float | None
    max: float | None


class FacetsOut(BaseModel):
    """What there is to choose from, the most frequent first, each as if its own filter were not set.

    `exact` is false if so many products fit that the numbers are those of a part of them.
    """

    categories: list[CountOut]
    brands: list[CountOut]
    price: PriceRangeOut
    exact: bool

    @classmethod
    def of(cls, facets: Facets, currency: str) -> "FacetsOut":
        """Return the facets as callers see them."""
        lowest, highest = (
            None if amount is None else float(to_price(amount, currency))
            for amount in (facets.lowest, facets.highest)
        )
        return cls(
            categories=[CountOut.of(count) for count in facets.categories],
            brands=[CountOut.of(count) for count in facets.brands],
            price=PriceRangeOut(min=lowest, max=highest),
            exact=facets.exact,
        )


class ProductPage(BaseModel):
    """Products, and the cursor of the page after.

    `corrected` is there if the words seem misspelt: what fits these is among the products, too.
    """

    model_config = ConfigDict(
        json_schema_extra=example(
            {"data": [example_of(ProductOut)], "next": "WyIyZTI0ZTBkMzlmMTMiLG51bGwsMV0"}
        )
    )

    data: list[ProductOut]
    next: str | None
    corrected: str | None = None
    facets: FacetsOut | None = None


class CategoryQuery(PageQuery):
    """Which part of the categories is wanted."""

    cursor: str | None = Field(default=None, max_length=600, description="`next` of the page before.")


class CategoryPage(BaseModel):
    """Categories by name, and the cursor of the page after."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"data": [{"name": "audio", "count": 12}, {"name": "kitchen", "count": 12}], "next": None}
        )
    )

    data: list[CountOut]
    next: str | None


def _to_amount(price: Decimal | None, currency: str, rounding: str) -> int | None:
    return None if price is None else to_minor_units(price, currency, rounding)
