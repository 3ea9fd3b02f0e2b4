"""Bodies of shipping methods and tax rates."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from orders.domain import LARGEST_ID, StoredTaxRate
from orders.schemas.addresses import Country
from orders.totals import WHOLE, ShippingMethod
from shared.schemas import BLANK_IS_NONE, Body, Integer, Line, example, example_of

MOST_ENTRIES = 300  # In each list of a shipping method.
MOST_STEPS = 50

Amount = Annotated[Integer, Field(ge=0, le=LARGEST_ID)]
Title = Annotated[Line, Field(max_length=200)]
# ISO 3166-2, such as US-CA.
Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-[A-Z0-9]{1,3}$")]
TaxClass = Annotated[Line, Field(max_length=100)]
OptionalClass = Annotated[TaxClass | None, BLANK_IS_NONE]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,49}$")]


def _check_pattern(pattern: str) -> str:
    if not pattern.removeprefix("!").strip():
        raise ValueError("must not be empty")
    if pattern.count("*") > 3:
        raise ValueError("must have at most three *")
    return pattern


PostalCode = Annotated[Line, Field(max_length=20), AfterValidator(_check_pattern)]


class PriceStepBody(Body):
    """The price from this weight, or from this amount of the items after discounts."""

    from_weight_grams: Amount | None = None
    from_amount: Amount | None = None
    price: Amount


class ShippingMethodPatch(Body):
    """Changes to a shipping method; members that are left out do not change."""

    model_config = ConfigDict(json_schema_extra=example({"price": 590, "free_from": 5000}))

    title: Title = "-"
    countries: list[Country] = Field(
        default=[], max_length=MOST_ENTRIES, description="Where it delivers; empty: everywhere."
    )
    regions: list[Region] = Field(default=[], max_length=MOST_ENTRIES, description="ISO 3166-2.")
    postal_codes: list[PostalCode] = Field(
        default=[],
        max_length=MOST_ENTRIES,
        description="Patterns such as `10*`; one with `!` excludes, such as the island `!27498`.",
    )
    price: Amount | None = Field(default=None, description="A fixed price. Either this or `prices`.")
    prices: list[PriceStepBody] = Field(
        default=[],
        max_length=MOST_STEPS,
        description="Prices by weight or by amount; below the first step, the method is not offered.",
    )
    free_from: Amount | None = Field(
        default=None, description="Free from this amount of the items after discounts."
    )
    tax_class: OptionalClass = None
    excluded_tax_classes: list[TaxClass] = Field(
        default=[], max_length=MOST_ENTRIES, description="It does not carry items of these classes."
    )
    delivery_time: Annotated[Title | None, BLANK_IS_NONE] = None
    position: Annotated[Integer, Field(ge=0, le=10_000)] = 0
    active: bool = True


class ShippingMethodIn(ShippingMethodPatch):
    """A shipping method, with a fixed `price` or with `prices` by weight or amount."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "code": "standard",
                "title": "Standard delivery",
                "countries": ["DE", "AT"],
                "postal_codes": ["!27498"],
                "price": 490,
                "free_from": 5000,
                "delivery_time": "2 to 3 working days",
            }
        )
    )

    code: Code
    title: Title


class PriceStepOut(BaseModel):
    """A step of the prices of a shipping method."""

    model_config = ConfigDict(from_attributes=True)

    from_weight_grams: int | None
    from_amount: int | None
    price: int


class ShippingMethodOut(BaseModel):
    """A shipping method."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra=example(
            {
                **example_of(ShippingMethodIn),
                "regions": [],
                "prices": [],
                "tax_class": None,
                "excluded_tax_classes": [],
                "position": 0,
                "active": True,
            }
        ),
    )

    code: str
    title: str
    countries: list[str]
    regions: list[str]
    postal_codes: list[str]
    price: int | None
    prices: list[PriceStepOut]
    free_from: int | None
    tax_class: str | None
    excluded_tax_classes: list[str]
    delivery_time: str | None
    position: int
    active: bool

    @classmethod
    def of(cls, method: ShippingMethod) -> "ShippingMethodOut":
        """Return the method as an admin sees it."""
        return cls.model_validate(method)


class ShippingMethodList(BaseModel):
    """All shipping methods, in the order in which customers see them."""

    model_config = ConfigDict(
        json_schema_extra=example({"data": [example_of(ShippingMethodOut)], "next": None})
    )

    data: list[ShippingMethodOut]
    next: None = None


class TaxRatePatch(Body):
    """Changes to a tax rate; its place and class do not change."""

    model_config = ConfigDict(json_schema_extra=example({"rate": 1600}))

    title: Title = "-"
    rate: Annotated[Integer, Field(ge=0, le=WHOLE)] = Field(
        default=0, description="In basis points: 1900 is 19 %."
    )


class TaxRateIn(Body):
    """A tax rate of a country or of one of its regions, for a tax class or for all."""

    model_config = ConfigDict(json_schema_extra=example({"country": "DE", "rate": 1900, "title": "VAT 19 %"}))

    country: Country
    region: Region | None = Field(default=None, description="ISO 3166-2.")
    tax_class: OptionalClass = None
    rate: Annotated[Integer, Field(ge=0, le=WHOLE)] = Field(description="In basis points: 1900 is 19 %.")
    title: Title


class TaxRateOut(BaseModel):
    """A tax rate."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": "018f5c3e-7a10-7c44-9d21-4b8f6a2e1c08",
                **example_of(TaxRateIn),
                "region": None,
                "tax_class": None,
            }
        )
    )

    id: UUID
    country: str
    region: str | None
    tax_class: str | None
    rate: int
    title: str

    @classmethod
    def of(cls, stored: StoredTaxRate) -> "TaxRateOut":
        """Return the rate as an admin sees it."""
        return cls.model_validate({"id": stored.id, **vars(stored.rate)})


class TaxRateList(BaseModel):
    """All tax rates, by country, region and class."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(TaxRateOut)], "next": None}))

    data: list[TaxRateOut]
    next: None = None
