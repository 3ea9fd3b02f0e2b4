"""The writable fields of products and variants."""

from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from catalog.domain import to_minor_units, to_price
from shared.errors import ValidationFailed
from shared.schemas import Body, Integer, Line, Number, is_blank

Sku = Annotated[Line, StringConstraints(pattern=r"^\S+( \S+)*$", max_length=100)]
UnitAmount = Annotated[Integer, Field(ge=0, le=1_000_000_000, description="Minor units.")]
Price = Annotated[Number, Field(ge=0, le=10_000_000, description="`unit_amount` as a decimal number.")]
OnHand = Annotated[Integer, Field(ge=0, le=2**31)]
Grams = Annotated[Integer, Field(ge=0, le=100_000_000)]
MetadataKey = Annotated[Line, Field(max_length=64)]
MetadataText = Annotated[Line, Field(max_length=500)]
# Other programs read numbers as doubles, which are exact up to here.
MetadataInteger = Annotated[int, Field(ge=-(2**53), le=2**53)]
MetadataFloat = Annotated[float, Field(allow_inf_nan=False)]
Metadata = Annotated[
    dict[MetadataKey, bool | MetadataInteger | MetadataFloat | MetadataText],
    Field(max_length=50, description="Up to 50 keys of the shop's own."),
]

# A default of None would appear in the OpenAPI document.
NOT_SET: Any = Field(default_factory=lambda: None)
# The columns of a variant that an admin can set.
SOLD = ("sku", "unit_amount", "compare_at_amount", "weight_grams", "low_stock_threshold")


class SoldFields(Body):
    """The writable fields of what is sold; `price` and `unit_amount` are alternatives."""

    # An absent field stays as it is; null clears those that may be null.
    sku: Sku = NOT_SET
    unit_amount: UnitAmount = NOT_SET
    price: Price = NOT_SET
    compare_at_amount: UnitAmount | None = NOT_SET
    weight_grams: Grams | None = NOT_SET
    low_stock_threshold: OnHand | None = NOT_SET
    metadata: Metadata = NOT_SET

    def read_values(self, currency: str) -> dict[str, Any]:
        """Return the given values by column; raise ValidationFailed if `price` and `unit_amount` differ."""
        values = {name: getattr(self, name) for name in SOLD if name in self.model_fields_set}
        if "price" in self.model_fields_set:
            amount = to_amount("price", self.price, currency)
            if values.setdefault("unit_amount", amount) != amount:
                raise _refuse("price", "It does not match unit_amount.")
        return values


class NewFields(SoldFields):
    """The fields of something new to sell; its price is required, as `unit_amount` or as `price`."""

    on_hand: OnHand = 0

    @model_validator(mode="before")
    @classmethod
    def _drop_blank_sku(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not is_blank(values.get("sku")):
            return values
        return {name: value for name, value in values.items() if name != "sku"}

    @property
    def is_priced(self) -> bool:
        """Return whether the body itself has the price."""
        return True

    @model_validator(mode="after")
    def _check_price(self) -> Self:
        if self.is_priced and not {"unit_amount", "price"} & self.model_fields_set:
            raise ValueError("unit_amount or price is required")
        return self


def to_amount(field: str, price: Decimal, currency: str) -> int:
    """Return an exact price in minor units; raise ValidationFailed if it is finer than the currency."""
    amount = to_minor_units(price, currency)
    if to_price(amount, currency) != price:
        raise _refuse(field, f"It has more decimal places than {currency} allows.")
    return amount


def _refuse(field: str, detail: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"location": "json", "field": field, "detail": detail}])
