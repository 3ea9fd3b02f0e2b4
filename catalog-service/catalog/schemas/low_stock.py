"""Query and response bodies of the list of variants with low stock."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from catalog.domain import MAX_ID
from catalog.variants import Position, Variant
from shared.pages import bad_cursor, decode_cursor, encode_cursor
from shared.schemas import example, example_of

_Id = Annotated[int, Field(ge=0, le=MAX_ID, strict=True)]
_POSITION: TypeAdapter[Position] = TypeAdapter(tuple[_Id, _Id])


class LowStockOut(BaseModel):
    """A variant with as few units as its threshold, or fewer."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "product_id": 1,
                "product_title": "Walnut Chopping Board with Juice Groove",
                "variant_id": 1,
                "title": "",
                "sku": "KIT-0001",
                "on_hand": 5,
                "reserved": 3,
                "stock": 2,
                "low_stock_threshold": 20,
            }
        )
    )

    product_id: int
    product_title: str
    variant_id: int
    title: str = Field(description="The option values, such as `M / Blue`; empty without options.")
    sku: str
    on_hand: int
    reserved: int
    stock: int = Field(description="Units available for sale.")
    low_stock_threshold: int

    @classmethod
    def of(cls, variant: Variant) -> "LowStockOut":
        """Return the response body for a variant."""
        values: dict[str, Any] = {
            **vars(variant),
            "product_id": variant.product_id,
            "variant_id": variant.id,
            "stock": variant.stock,
        }
        return cls.model_validate(values)


class LowStockPage(BaseModel):
    """A page of variants with low stock, and the cursor of the next page."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(LowStockOut)], "next": None}))

    data: list[LowStockOut]
    next: str | None


def encode_place(position: Position | None) -> str | None:
    """Return the cursor of a position, or None for None."""
    return None if position is None else encode_cursor(position)


def decode_place(cursor: str | None) -> Position | None:
    """Return the position of a cursor, or None for None; raise ValidationFailed."""
    if cursor is None:
        return None
    try:
        return _POSITION.validate_python(decode_cursor(cursor))
    except ValidationError as error:
        raise bad_cursor() from error
