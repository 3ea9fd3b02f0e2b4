"""Request and response bodies for sales."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from catalog.domain import Sale
from catalog.schemas.fields import UnitAmount
from shared.schemas import Body, Time, example

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
            state="running" if sale.is_running else "planned",
            currency=currency,
        )
