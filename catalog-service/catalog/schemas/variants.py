"""Request and response bodies for admins: options and variants."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from catalog.domain import MAX_ID
from catalog.schemas.bodies import describe_variant
from catalog.schemas.fields import NOT_SET, NewFields, SoldFields
from catalog.schemas.products import VariantOut
from catalog.variants import NewVariant, Option, Variant
from shared.schemas import Body, Integer, Line, example, example_of

Name = Annotated[Line, Field(max_length=50)]
Value = Annotated[Line, Field(max_length=100)]
Values = dict[Name, Value]


def _require_distinct(names: list[str]) -> list[str]:
    """Refuse names that a customer would take for the same."""
    known: set[str] = set()
    for name in names:
        if name.casefold() in known:
            raise ValueError(f"{name} is there twice")
        known.add(name.casefold())
    return names


class OptionIn(Body):
    """An option of a product, and its values in the order in which a customer sees them."""

    name: Name
    values: Annotated[list[Value], Field(min_length=1, max_length=100), AfterValidator(_require_distinct)]


def _require_distinct_options(options: list[OptionIn]) -> list[OptionIn]:
    _require_distinct([option.name for option in options])
    return options


Options = Annotated[list[OptionIn], Field(max_length=5), AfterValidator(_require_distinct_options)]


class VariantValues(Body):
    """The option values that an existing variant has from now on."""

    id: Integer = Field(ge=1, le=MAX_ID)
    options: Values


def to_options(options: list[OptionIn]) -> tuple[Option, ...]:
    """Return the options of a body."""
    return tuple(Option(option.name, tuple(option.values)) for option in options)


class VariantFields(SoldFields):
    """The writable fields of a variant."""

    options: Values = NOT_SET

    def read_values(self, currency: str) -> dict[str, Any]:
        """Return the given values by column; raise ValidationFailed if `price` and `unit_amount` differ."""
        values = super().read_values(currency)
        if "metadata" in self.model_fields_set:
            values["metadata"] = self.metadata
        if "options" in self.model_fields_set:
            values["option_values"] = self.options or None
        return values


class ShownFields(VariantFields):
    """The writable fields of a variant, with the image of its product that shows it."""

    image_id: Annotated[Integer, Field(ge=1, le=MAX_ID)] | None = NOT_SET

    def read_values(self, currency: str) -> dict[str, Any]:
        """Return the given values by column; raise ValidationFailed if `price` and `unit_amount` differ."""
        values = super().read_values(currency)
        if "image_id" in self.model_fields_set:
            values["image_id"] = self.image_id
        return values


class VariantIn(ShownFields, NewFields):
    """A further variant of a product, with a value for each of the product's options."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"sku": "SHIRT-M", "options": {"Size": "M"}, "unit_amount": 2450, "on_hand": 12}
        )
    )

    def read_new(self, currency: str) -> NewVariant:
        """Return the variant to add."""
        return NewVariant(self.read_values(currency), self.on_hand)


class VariantChange(ShownFields):
    """Changes to a variant that the caller read at this `version`."""

    model_config = ConfigDict(json_schema_extra=example({"version": 1, "unit_amount": 5990}))

    version: Integer = Field(ge=1, le=2**53)


class ManagedVariantOut(VariantOut):
    """A variant as an admin sees it."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {**example_of(VariantOut), "on_hand": 183, "reserved": 3, "low_stock_threshold": 20}
        )
    )

    on_hand: int = Field(description="Units on hand, reserved ones included.")
    reserved: int = Field(description="Units held for orders.")
    low_stock_threshold: int | None

    @classmethod
    def of(cls, variant: Variant, currency: str) -> "ManagedVariantOut":
        """Return the variant as an admin sees it."""
        shown = describe_variant(variant, currency)
        own = ("on_hand", "reserved", "low_stock_threshold", "compare_at_amount")
        return cls.model_validate({**shown, **{name: getattr(variant, name) for name in own}})


class ManagedVariantList(BaseModel):
    """The variants of a product as an admin sees them, at most 250."""

    model_config = ConfigDict(
        json_schema_extra=example({"data": [example_of(ManagedVariantOut)], "next": None})
    )

    data: list[ManagedVariantOut]
    next: None

    @classmethod
    def of_variants(cls, variants: Iterable[Variant], currency: str) -> "ManagedVariantList":
        """Return the response body for variants."""
        return cls(data=[ManagedVariantOut.of(variant, currency) for variant in variants], next=None)
