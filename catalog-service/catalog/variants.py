"""Variants, which are what the shop sells, and the options of their products (Size, Colour)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from catalog.errors import OptionValuesInvalid, VariantExists

MAX_VARIANTS = 250

# The values of a variant by option: {"Size": "M"}; None for the variant of a product without options.
OptionValues = Mapping[str, str]
# The place of a variant in a list: the numbers of its product and of itself.
Position = tuple[int, int]
# Of a product or a variant, by key.
Metadata = Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class Option:
    """An option of a product, and its values in the order in which a customer sees them."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """A variant for sale; `title` has its option values (`M / Blue`), and is empty without options."""

    id: int
    parent_id: int | None
    product_title: str
    sku: str
    title: str
    option_values: OptionValues | None
    unit_amount: int
    compare_at_amount: int | None
    lowest_amount_30d: int | None
    # The price without the running sale; None while none runs.
    regular_amount: int | None
    weight_grams: int | None
    image: str | None
    on_hand: int
    reserved: int
    shortfall: int
    low_stock_threshold: int | None
    image_id: int | None
    metadata: Metadata
    version: int

    @property
    def product_id(self) -> int:
        """Return the number of the product, which its first variant shares."""
        return self.parent_id or self.id

    @property
    def stock(self) -> int:
        """Return the units available for sale."""
        return self.on_hand - self.reserved

    @property
    def crossed_out_amount(self) -> int | None:
        """Return the crossed-out price, or None unless it is above the price."""
        return cross_out(self.compare_at_amount, self.unit_amount)

    @property
    def line_title(self) -> str:
        """Return the title of an order line: the product's, and the option values."""
        return f"{self.product_title}, {self.title}" if self.title else self.product_title


@dataclass(frozen=True)
class PricedVariant:
    """A variant for sale, with the tax class and the category (a path) of its product.

    `is_only_variant` is whether its product has no further variants.
    """

    variant: Variant
    tax_class: str | None
    category: str
    is_only_variant: bool


@dataclass(frozen=True)
class NewVariant:
    """A variant to add: its values by column, and its units on hand."""

    values: Mapping[str, Any]
    on_hand: int

    @property
    def option_values(self) -> OptionValues | None:
        """Return the values of its options."""
        values: OptionValues | None = self.values.get("option_values")
        return values


def cross_out(amount: int | None, unit_amount: int) -> int | None:
    """Return a crossed-out price, or None unless it is above the price."""
    return amount if amount is not None and amount > unit_amount else None


def check_values(options: Sequence[Option], values: OptionValues | None) -> None:
    """Raise OptionValuesInvalid unless there is exactly one known value for each option."""
    given = values or {}
    names = [option.name for option in options]
    if set(given) != set(names):
        raise _refuse(
            f"Give one value for each of: {', '.join(names)}." if names else "The product has no options.",
            options,
        )
    for option in options:
        if given[option.name] not in option.values:
            raise _refuse(f"{given[option.name]} is not a value of {option.name}.", options)


def check_combinations(variants: Iterable[tuple[int, OptionValues | None]]) -> None:
    """Raise VariantExists if two of these variants, given by id, have the same values."""
    owners: dict[frozenset[tuple[str, str]], int] = {}
    for number, values in variants:
        combination = frozenset((values or {}).items())
        if combination in owners:
            raise VariantExists(variant_id=owners[combination])
        owners[combination] = number


def make_title(options: Sequence[Option], values: OptionValues | None) -> str:
    """Return the values as a customer reads them, such as `M / Blue`."""
    return " / ".join(values[option.name] for option in options) if values else ""


def sort_variants(options: Sequence[Option], variants: Iterable[Variant]) -> list[Variant]:
    """Return the variants in the order of the options' values."""

    def place(variant: Variant) -> tuple[int, ...]:
        values = variant.option_values or {}
        places = [option.values.index(values[option.name]) for option in options if option.name in values]
        return (*places, variant.id)

    return sorted(variants, key=place)


def _refuse(detail: str, options: Sequence[Option]) -> OptionValuesInvalid:
    return OptionValuesInvalid(detail, options=[asdict(option) for option in options])
