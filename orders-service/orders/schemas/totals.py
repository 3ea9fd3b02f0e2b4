"""Bodies of totals: adjustments and shipping options."""

from pydantic import BaseModel, ConfigDict, Field

from shared.schemas import example


class AdjustmentOut(BaseModel):
    """A discount (negative), shipping, or a tax; a tax that is `included` is a part of the prices."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra=example(
            {
                "kind": "shipping",
                "code": "standard",
                "title": "Standard delivery",
                "amount": 490,
                "included": False,
            }
        ),
    )

    kind: str = Field(description="`discount`, `shipping` or `tax`.")
    code: str
    title: str
    amount: int
    included: bool


class ShippingOptionOut(BaseModel):
    """A shipping method that the order could have, and its price after discounts."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra=example(
            {
                "code": "standard",
                "title": "Standard delivery",
                "amount": 490,
                "delivery_time": "2 to 3 working days",
            }
        ),
    )

    code: str
    title: str
    amount: int
    delivery_time: str | None
