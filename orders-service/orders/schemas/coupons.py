"""Bodies of coupons."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from orders.domain import LARGEST_ID, StoredCoupon
from orders.schemas.rules import Amount
from shared.pages import PageQuery
from shared.schemas import BLANK_IS_NONE, Body, Integer, Line, Text, Time, example, example_of

MOST_GENERATED = 1000
MOST_ENTRIES = 500


def _check_code(code: str) -> str:
    if not re.fullmatch(r"[^\s/?#%\\]+", code) or code.startswith("."):
        raise ValueError("must be one word without / ? # % or \\, and not begin with a dot")
    return code


# A code is a part of a URL.
CouponCode = Annotated[Line, Field(max_length=50), AfterValidator(_check_code)]
ProductNumber = Annotated[Integer, Field(ge=1, le=LARGEST_ID)]
Moment = Annotated[Time, Strict(False)]
Count = Annotated[Integer, Field(ge=1, le=LARGEST_ID)]


class CouponPatch(Body):
    """Changes to a coupon; members that are left out do not change."""

    model_config = ConfigDict(json_schema_extra=example({"active": False}))

    percent: Annotated[Integer, Field(ge=1, le=100)] | None = Field(
        default=None, description="Taken from each line, rounded half up."
    )
    amount: Annotated[Integer, Field(ge=1, le=LARGEST_ID)] | None = Field(
        default=None, description="In minor units; at most what the items cost."
    )
    free_shipping: bool = False
    minimum: Amount | None = Field(default=None, description="What all items must cost before discounts.")
    products: list[ProductNumber] = Field(default=[], max_length=MOST_ENTRIES)
    categories: list[Annotated[Line, Field(max_length=300)]] = Field(
        default=[], max_length=MOST_ENTRIES, description="Paths; what is below them is included."
    )
    starts: Moment | None = None
    ends: Moment | None = None
    limit: Count | None = Field(default=None, description="Orders that can use it in all.")
    limit_per_customer: Count | None = Field(
        default=None, description="Orders of one account, or of one guest's email address."
    )
    first_order_only: bool = False
    active: bool = True


class CouponIn(CouponPatch):
    """A coupon: `percent`, `amount` or `free_shipping`. Its code is compared without regard to case."""

    model_config = ConfigDict(
        json_schema_extra=example({"code": "WELCOME10", "percent": 10, "limit_per_customer": 1})
    )

    code: CouponCode


class GenerateIn(CouponPatch):
    """Terms of coupons, each with a random code after the `prefix`; without a `limit`, each has one use."""

    model_config = ConfigDict(json_schema_extra=example({"prefix": "SPRING-", "count": 2, "amount": 500}))

    prefix: Annotated[
        Annotated[Line, Field(max_length=30), AfterValidator(_check_code)] | None, BLANK_IS_NONE
    ] = None
    count: Annotated[Integer, Field(ge=1, le=MOST_GENERATED)]


class CouponOut(BaseModel):
    """A coupon; `uses` counts the orders that use it and were not cancelled."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "code": "WELCOME10",
                "percent": 10,
                "amount": None,
                "free_shipping": False,
                "minimum": None,
                "products": [],
                "categories": [],
                "starts": None,
                "ends": None,
                "limit": None,
                "limit_per_customer": 1,
                "first_order_only": False,
                "active": True,
                "uses": 0,
                "created_at": "2026-03-01T10:00:00Z",
            }
        )
    )

    code: str
    percent: int | None
    amount: int | None
    free_shipping: bool
    minimum: int | None
    products: list[int]
    categories: list[str]
    starts: datetime | None
    ends: datetime | None
    limit: int | None
    limit_per_customer: int | None
    first_order_only: bool
    active: bool
    uses: int
    created_at: datetime

    @classmethod
    def of(cls, stored: StoredCoupon) -> "CouponOut":
        """Return the coupon as an admin sees it."""
        return cls.model_validate({**vars(stored.coupon), "created_at": stored.created_at})


class CouponList(BaseModel):
    """Coupons that were just made."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(CouponOut)], "next": None}))

    data: list[CouponOut]
    next: None = None


class CouponPage(BaseModel):
    """Coupons, newest first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(CouponOut)], "next": None}))

    data: list[CouponOut]
    next: str | None


class CouponQuery(PageQuery):
    """Filters of the list of coupons."""

    q: Annotated[Text | None, BLANK_IS_NONE] = Field(
        default=None, max_length=50, description="The beginning of a code."
    )
