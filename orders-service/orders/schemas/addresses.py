"""Bodies of addresses, and of a customer's address book."""

from typing import Annotated
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from orders.addresses import find_required_fields, is_country
from orders.domain import BookEntry
from shared.schemas import BLANK_IS_NONE, Body, Line, example, example_of


def _require_country(code: str) -> str:
    if not is_country(code):
        raise ValueError("must be an ISO 3166-1 alpha-2 country code, such as US or GB")
    return code


Country = Annotated[str, AfterValidator(_require_country)]
Place = Annotated[Line | None, Field(max_length=100, validate_default=True), BLANK_IS_NONE]
Phone = Annotated[
    Annotated[Line, StringConstraints(max_length=40, pattern=r"^[-+0-9 ()./x]*[0-9][-+0-9 ()./x]*$")] | None,
    BLANK_IS_NONE,
]


class Address(Body):
    """An address. `city`, `region` and `postal_code` are required in countries that use them."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "name": "Ada Buyer",
                "line1": "1 Long Lane",
                "city": "Springfield",
                "region": "IL",
                "postal_code": "62701",
                "country": "US",
            }
        ),
    )

    # First, because the validation of the other fields reads it.
    country: Country = Field(description="ISO 3166-1 alpha-2.")
    name: Line = Field(max_length=200)
    line1: Line = Field(max_length=200)
    line2: Annotated[Line | None, Field(max_length=200), BLANK_IS_NONE] = None
    city: Place = None
    region: Place = None
    postal_code: Annotated[Line | None, Field(max_length=20, validate_default=True), BLANK_IS_NONE] = None
    phone: Phone = None

    @field_validator("city", "region", "postal_code")
    @classmethod
    def _require(cls, value: str | None, info: ValidationInfo) -> str | None:
        country = info.data.get("country")
        if value is None and country and info.field_name in find_required_fields(country):
            raise ValueError(f"is required in an address in {country}")
        return value


class DestinationIn(Body):
    """An address, of which only what prices an order is required."""

    model_config = ConfigDict(json_schema_extra=example({"country": "US", "region": "IL"}))

    country: Country = Field(description="ISO 3166-1 alpha-2.")
    region: Place = None
    postal_code: Annotated[Line | None, Field(max_length=20), BLANK_IS_NONE] = None
    name: Place = None
    line1: Place = None
    line2: Place = None
    city: Place = None
    phone: Phone = None


class AddressOut(BaseModel):
    """An address."""

    name: str
    line1: str
    line2: str | None = None
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str
    phone: str | None = None


class AddressQuery(BaseModel):
    """What the address book shows; unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid")

    with_orders: bool = Field(
        default=False, description="true: also the addresses of the last orders that the book does not have."
    )


class BookEntryOut(AddressOut):
    """An address in the book; the `id` of one that only an order has is null."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": "018f5c3e-7a10-7c44-9d21-4b8f6a2e1c07",
                **example_of(Address),
                "line2": None,
                "phone": None,
            }
        )
    )

    id: UUID | None

    @classmethod
    def of(cls, entry: BookEntry) -> "BookEntryOut":
        """Return the entry as its customer sees it."""
        return cls.model_validate({**entry.address, "id": entry.id})


class AddressBook(BaseModel):
    """A customer's addresses, the last saved one first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(BookEntryOut)], "next": None}))

    data: list[BookEntryOut]
    next: None = None
