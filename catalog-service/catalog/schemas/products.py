"""Public product bodies, which `schemas.bodies` writes, and the query parameters of product lists."""

import re
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from catalog.category_tree import Crumb
from catalog.domain import METADATA_NUMBER, Filter, Sort, to_minor_units
from catalog.schemas.images import ImageOut
from shared.pages import PageQuery
from shared.schemas import Text, example, example_of


def as_list(value: Any) -> Any:
    """Return the values of a query parameter as a list, also if it is there once."""
    return value if isinstance(value, list) else [value]


def _none_if_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Names = Annotated[
    list[Annotated[Text, Field(max_length=200)]], Field(max_length=20), BeforeValidator(as_list)
]
CROSSED_OUT = "A crossed-out price, such as the price before a sale; null unless it is above the price."
LOWEST_30D = "The lowest price of the 30 days before the current reduction began; null without one."
OPTION, META = "option.", "meta."
OptionFilter = Annotated[dict[Annotated[Text, Field(max_length=50)], Names], Field(max_length=5)]
MetadataFilter = Annotated[
    dict[
        Annotated[Text, Field(max_length=64)],
        Annotated[
            list[Annotated[Text, Field(max_length=500)]], Field(max_length=20), BeforeValidator(as_list)
        ],
    ],
    Field(max_length=5),
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
    option: SkipJsonSchema[OptionFilter] = Field(default={})
    meta: SkipJsonSchema[MetadataFilter] = Field(default={})
    sort: Sort | None = Field(
        default=None,
        description="`rating` starts with the best, `newest` with the latest. Default: by id, or with `q` by "
        "relevance, which ranks at most 1000 matches.",
    )
    facets: bool = Field(default=False, description="true: include the facets.")

    @model_validator(mode="before")
    @classmethod
    def _collect_named(cls, values: Any) -> Any:
        """Collect the parameters `option.NAME` and `meta.KEY`, whose names are the shop's own."""
        collected: dict[str, Any] = {}
        for name, value in values.items():
            prefix = next((prefix for prefix in (OPTION, META) if name.startswith(prefix)), None)
            if prefix is None:
                collected[name] = value
            else:
                collected.setdefault(prefix.rstrip("."), {})[name.removeprefix(prefix)] = value
        return collected

    def to_filter(self, currency: str) -> Filter:
        """Return the filter, with the price limits rounded inwards to minor units."""
        return Filter(
            words=self.q,
            categories=tuple(sorted(set(self.category))),
            brands=tuple(sorted(set(self.brand))),
            lowest=_to_amount(self.min_price, currency, ROUND_CEILING),
            highest=_to_amount(self.max_price, currency, ROUND_FLOOR),
            in_stock=self.in_stock,
            options=tuple(sorted((name, tuple(sorted(set(values)))) for name, values in self.option.items())),
            metadata=tuple(
                (name, tuple(each for value in sorted(set(values)) for each in _to_metadata(value)))
                for name, values in sorted(self.meta.items())
            ),
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
                "media": [],
                "version": 1,
                "updated_at": "2026-03-01T09:30:00Z",
                "variant_count": 1,
                "highest_unit_amount": 6490,
                "compare_at_amount": None,
                "lowest_amount_30d": None,
                "tax_class": None,
                "slug": "walnut-chopping-board-with-juice-groove",
                "variant_id": 1,
            }
        )
    )

    id: int
    sku: str
    title: str
    brand: str | None
    category: str
    price: float
    unit_amount: int = Field(description="The price of the cheapest variant, in minor units.")
    currency: str
    description: str
    rating: float | None
    stock: int = Field(description="Units of all variants available for sale.")
    images: list[str] = Field(description="The URLs of all images, in order.")
    media: list[ImageOut] = Field(
        description="The stored images in their order; a list of products has the first image only."
    )
    version: int
    updated_at: datetime
    variant_count: int
    highest_unit_amount: int = Field(description="The price of the dearest variant, in minor units.")
    compare_at_amount: int | None = Field(description=CROSSED_OUT)
    lowest_amount_30d: int | None = Field(description=LOWEST_30D)
    tax_class: str | None
    slug: str = Field(description="The end of the product's address in the shop, `/p/SLUG`.")
    variant_id: int | None = Field(
        description="The only variant, which `PUT /cart/items/{variant_id}` adds; null if there are several."
    )


class OptionOut(BaseModel):
    """An option of a product, and its values in the order in which a customer sees them."""

    name: str
    values: list[str]


class VariantOut(BaseModel):
    """A variant, which is what the shop sells; the first one has the product's id."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": 1,
                "sku": "KIT-0001",
                "title": "",
                "options": {},
                "price": 64.9,
                "unit_amount": 6490,
                "compare_at_amount": None,
                "lowest_amount_30d": None,
                "stock": 180,
                "weight_grams": 1450,
                "image_id": None,
                "image": None,
                "metadata": {"material": "walnut"},
                "version": 1,
            }
        )
    )

    id: int
    sku: str
    title: str = Field(description="The option values, such as `M / Blue`; empty without options.")
    options: dict[str, str]
    price: float
    unit_amount: int
    compare_at_amount: int | None = Field(description=CROSSED_OUT)
    lowest_amount_30d: int | None = Field(description=LOWEST_30D)
    stock: int = Field(description="Units available for sale.")
    weight_grams: int | None
    image_id: int | None = Field(description="The image of the product, in `media`, that shows this variant.")
    image: str | None = Field(default=None, description="The URL of that image, or of the source's.")
    metadata: dict[str, Any]
    version: int


class CrumbOut(BaseModel):
    """A category on the way to another category or to a product."""

    path: str
    title: str

    @classmethod
    def of(cls, crumb: Crumb) -> "CrumbOut":
        """Return the response body for a breadcrumb."""
        return cls(**vars(crumb))


class ProductDetailsOut(ProductOut):
    """A product with its options, its variants, and the categories from the root to its own."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                **example_of(ProductOut),
                "metadata": {"material": "walnut"},
                "options": [],
                "variants": [example_of(VariantOut)],
                "breadcrumbs": [{"path": "kitchen", "title": "Kitchen"}],
            }
        )
    )

    metadata: dict[str, Any]
    options: list[OptionOut]
    variants: list[VariantOut] = Field(description="In the order of the options' values.")
    breadcrumbs: list[CrumbOut]


class CountOut(BaseModel):
    """A brand, and its number of products."""

    name: str
    count: int


class CategoryCountOut(CountOut):
    """A category by its path, and its number of products, those in categories below included."""

    title: str


class PriceRangeOut(BaseModel):
    """The lowest and the highest price; null if no product matches."""

    min: float | None
    max: float | None


class OptionCountsOut(BaseModel):
    """An option, and the number of products with each of its values."""

    name: str
    values: list[CountOut]


class MetadataCountsOut(OptionCountsOut):
    """A metadata key, and the number of products with each of its values as `meta.KEY` filters by it."""


class FacetsOut(BaseModel):
    """The available categories, brands, prices, options and metadata, most frequent first.

    Each ignores its own filter. `metadata` is present if an admin has marked a key. `exact` is false if so
    many products match that only some of them were counted.
    """

    categories: list[CategoryCountOut]
    brands: list[CountOut]
    price: PriceRangeOut
    options: list[OptionCountsOut]
    metadata: list[MetadataCountsOut] = []
    exact: bool


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


def _to_metadata(value: str) -> list[str | float | bool]:
    """Return what the text of a filter stands for: itself, and the number or the boolean that it writes."""
    if value in {"true", "false"}:
        return [value, value == "true"]
    if re.fullmatch(METADATA_NUMBER, value):
        return [value, float(value) if "." in value else int(value)]
    return [value]


def _to_amount(price: Decimal | None, currency: str, rounding: str) -> int | None:
    return None if price is None else to_minor_units(price, currency, rounding)
