"""Public product bodies, and the query parameters of product lists."""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from catalog.category_tree import Crumb
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
    """The filters and the order of a product list; unknown parameters are rejected."""

    cursor: str | None = Field(
        default=None,
        max_length=2000,
        description="`next` of the previous page, with the same filters and order.",
    )
    q: Annotated[Text | None, BeforeValidator(_none_if_blank)] = Field(
        default=None,
        max_length=200,
        description='Web search syntax: `walnut board`, `"bread crock"`, `lamp or candle -desk`.',
    )
    category: Names = Field(
        default=[],
        description="The path of a category, which includes those below; repeat it to match any of several.",
    )
    brand: Names = Field(default=[], description="A brand name; repeat it to match any of several.")
    min_price: Price | None = Field(default=None, description="The lowest price, in the unit of `price`.")
    max_price: Price | None = Field(default=None, description="The highest price, in the unit of `price`.")
    in_stock: bool | None = Field(default=None, description="true: in stock; false: sold out.")
    sort: Sort | None = Field(
        default=None,
        description="`rating` starts with the best, `newest` with the latest. Default: by id, or with `q` by "
        "relevance, which ranks at most 1000 matches.",
    )
    facets: bool = Field(default=False, description="true: include the facets.")

    def to_filter(self, currency: str) -> Filter:
        """Return the filter, with the price limits rounded inwards to minor units."""
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
        """Return the order, or None for relevance."""
        return self.sort or (None if self.q else Sort.ID)


class ProductOut(BaseModel):
    """A product; `price` is the tutorial's decimal number, `unit_amount` the same in minor units."""

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
                "slug": "walnut-chopping-board-with-juice-groove",
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
    stock: int = Field(description="Units available for sale.")
    images: list[str]
    version: int
    updated_at: datetime
    slug: str = Field(description="The end of the product's address in the shop, `/p/SLUG`.")

    @classmethod
    def of(cls, product: Product, currency: str) -> "ProductOut":
        """Return the response body for a product."""
        price = float(to_price(product.unit_amount, currency))
        return cls(**vars(product), price=price, currency=currency)


class CrumbOut(BaseModel):
    """A category on the way to another category or to a product."""

    path: str
    title: str

    @classmethod
    def of(cls, crumb: Crumb) -> "CrumbOut":
        """Return the response body for a breadcrumb."""
        return cls(**vars(crumb))


class ShownProductOut(ProductOut):
    """A product, and the categories from the root to its own."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {**example_of(ProductOut), "breadcrumbs": [{"path": "kitchen", "title": "Kitchen"}]}
        )
    )

    breadcrumbs: list[CrumbOut]

    @classmethod
    def of_shown(cls, product: Product, currency: str, breadcrumbs: Iterable[Crumb]) -> "ShownProductOut":
        """Return the response body for a product with its breadcrumbs."""
        shown = ProductOut.of(product, currency).model_dump()
        return cls(**shown, breadcrumbs=[CrumbOut.of(crumb) for crumb in breadcrumbs])


class CountOut(BaseModel):
    """A brand, and its number of products."""

    name: str
    count: int

    @classmethod
    def of(cls, count: Count) -> "CountOut":
        """Return the response body for a count."""
        return cls(name=count.name, count=count.count)


class CategoryCountOut(CountOut):
    """A category by its path, and its number of products, those in categories below included."""

    title: str

    @classmethod
    def of(cls, count: Count) -> "CategoryCountOut":
        """Return the response body for a count."""
        return cls(name=count.name, count=count.count, title=count.title or count.name)


class PriceRangeOut(BaseModel):
    """The lowest and the highest price; null if no product matches."""

    min: float | None
    max: float | None


class FacetsOut(BaseModel):
    """The available categories, brands and prices, most frequent first; each ignores its own filter.

    `exact` is false if so many products match that only some of them were counted.
    """

    categories: list[CategoryCountOut]
    brands: list[CountOut]
    price: PriceRangeOut
    exact: bool

    @classmethod
    def of(cls, facets: Facets, currency: str) -> "FacetsOut":
        """Return the response body for facets."""
        lowest, highest = (
            None if amount is None else float(to_price(amount, currency))
            for amount in (facets.lowest, facets.highest)
        )
        return cls(
            categories=[CategoryCountOut.of(count) for count in facets.categories],
            brands=[CountOut.of(count) for count in facets.brands],
            price=PriceRangeOut(min=lowest, max=highest),
            exact=facets.exact,
        )


class ProductPage(BaseModel):
    """A page of products, and the cursor of the next page.

    `corrected` is present if the words look misspelled; the products then include matches of `corrected`.
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


def _to_amount(price: Decimal | None, currency: str, rounding: str) -> int | None:
    return None if price is None else to_minor_units(price, currency, rounding)
