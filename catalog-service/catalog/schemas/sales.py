"""Request and response bodies for sales."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator

from catalog.domain import MAX_ID, ProductSales, Sale
from catalog.schemas.fields import UnitAmount
from catalog.schemas.products import as_list
from shared.schemas import Body, Time, example, example_of

# JSON has no times; they are strings.
Moment = Annotated[Time, Strict(False)]


class SaleIn(Body):
    """A sale's price and its times; without a start, or with one in the past, it starts now."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"unit_amount": 4990, "starts": "2026-11-27T00:00:00+01:00", "ends": "2026-12-01T00:00:00+01:00"}
        )
    )

    unit_amount: UnitAmount
    starts: Moment | None = Field(default=None, description="The first moment of the sale.")
    ends: Moment | None = Field(
        default=None, description="The first moment after the sale; null until it is cancelled."
    )

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if self.starts and self.ends and self.ends <= self.starts:
            raise ValueError("ends must be after starts")
        return self


class SaleOut(BaseModel):
    """The planned or running sale of a variant; `regular_amount` is the price without it."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "product_id": 1,
                "variant_id": 1,
                "state": "planned",
                "unit_amount": 4990,
                "regular_amount": 6490,
                "currency": "USD",
                "starts": "2026-11-26T23:00:00Z",
                "ends": "2026-11-30T23:00:00Z",
            }
        )
    )

    product_id: int
    variant_id: int
    state: Literal["planned", "running"]
    unit_amount: int
    regular_amount: int
    currency: str
    starts: datetime
    ends: datetime | None

    @classmethod
    def of(cls, sale: Sale, product_id: int, variant_id: int, currency: str) -> "SaleOut":
        """Return the response body for a sale."""
        return cls(
            **vars(sale),
            product_id=product_id,
            variant_id=variant_id,
            state=_name_state(is_running=sale.is_running),
            currency=currency,
        )


class ProductSalesQuery(BaseModel):
    """The products whose sales a list shows."""

    model_config = ConfigDict(extra="forbid")

    product_id: Annotated[
        list[Annotated[int, Field(ge=0, le=MAX_ID)]],
        Field(min_length=1, max_length=100, description="Repeat it for up to 100 products."),
        BeforeValidator(as_list),
    ]


class ProductSalesOut(BaseModel):
    """The running, or the planned, sales of a product's variants."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "product_id": 1,
                "state": "planned",
                "variant_count": 1,
                "unit_amount": 4990,
                "currency": "USD",
                "starts": "2026-11-26T23:00:00Z",
                "ends": "2026-11-30T23:00:00Z",
            }
        )
    )

    product_id: int
    state: Literal["planned", "running"]
    variant_count: int = Field(description="The variants that have such a sale.")
    unit_amount: int = Field(description="The lowest of the prices.")
    currency: str
    starts: datetime = Field(description="When the first one starts.")
    ends: datetime | None = Field(description="When the first one ends; null if none does.")

    @classmethod
    def of(cls, found: ProductSales, currency: str) -> "ProductSalesOut":
        """Return the response body for the running or planned sales of a product."""
        return cls(**vars(found), state=_name_state(is_running=found.is_running), currency=currency)


class ProductSalesList(BaseModel):
    """The sales of the requested products, by product; the running ones come first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(ProductSalesOut)]}))

    data: list[ProductSalesOut]


def _name_state(*, is_running: bool) -> Literal["planned", "running"]:
    return "running" if is_running else "planned"
