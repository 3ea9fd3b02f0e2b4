"""The options and variants of a product in the source's format."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from catalog.domain import OfferedVariant, to_minor_units
from catalog.errors import OptionValuesInvalid
from catalog.schemas.source_fields import Name, Sku, refuse_boolean
from catalog.schemas.variants import OptionIn, Options, Values, to_options
from catalog.variants import MAX_VARIANTS, Option, check_values
from shared.schemas import Line

# The option of variants that differ by their titles only.
BY_TITLE = "Variant"
Amount = Annotated[Decimal, BeforeValidator(refuse_boolean), Field(ge=0, le=10_000_000)]
Count = Annotated[int, BeforeValidator(refuse_boolean)]


class SourceOption(OptionIn):
    """An option in the source's format; unknown members are ignored."""

    model_config = ConfigDict(extra="ignore")


OPTIONS = TypeAdapter(list[SourceOption])
CHECKED_OPTIONS: TypeAdapter[list[OptionIn]] = TypeAdapter(Options)


class SourceVariant(BaseModel):
    """A variant in the source's format; unknown members are ignored."""

    sku: Sku = Field(max_length=100)
    price: Amount
    title: Name | None = Field(default=None, max_length=100)
    options: Values = {}
    stock: Count = Field(default=0, ge=0, le=2**31)
    weight_grams: Count | None = Field(default=None, ge=0, le=100_000_000)
    compare_at_price: Amount | None = None
    image: Annotated[Line, Field(max_length=2000)] | None = None

    def to_offered(self, currency: str) -> OfferedVariant:
        """Return the variant as the source offers it."""
        compare_at = self.compare_at_price
        return OfferedVariant(
            sku=self.sku,
            option_values=dict(self.options) or None,
            unit_amount=to_minor_units(self.price, currency),
            source_on_hand=self.stock,
            compare_at_amount=None if compare_at is None else to_minor_units(compare_at, currency),
            weight_grams=self.weight_grams,
            source_image=self.image,
        )


@dataclass
class ReadVariants:
    """The options and variants of a product that can be sold, and what was wrong with the others.

    `only` is the variant that is left of variants without options.
    """

    options: tuple[Option, ...] = ()
    variants: list[OfferedVariant] = field(default_factory=list)
    only: OfferedVariant | None = None
    reasons: list[str] = field(default_factory=list)


def read_variants(raw_options: Any, raw_variants: Any, currency: str) -> ReadVariants:
    """Return the options and variants of a product; what is invalid is left out, with a reason."""
    found = ReadVariants()
    if not raw_variants:
        return found
    if not isinstance(raw_variants, list):
        found.reasons.append("Input should be a valid list")
        return found
    read = _read_each(raw_variants, found.reasons)
    declared = _read_options(raw_options, found.reasons)
    if not any(variant.options for variant in read):
        _use_titles(read, currency, found)
        return found
    found.options = declared or _find_options(read)
    known: set[frozenset[tuple[str, str]]] = set()
    for variant in read:
        try:
            check_values(found.options, variant.options)
        except OptionValuesInvalid as error:
            found.reasons.append(f"{variant.sku} is left out: {error.detail}")
            continue
        combination = frozenset(variant.options.items())
        if combination in known:
            found.reasons.append(f"{variant.sku} is left out: an earlier variant has the same options.")
            continue
        known.add(combination)
        found.variants.append(variant.to_offered(currency))
    if len(found.variants) > MAX_VARIANTS:
        found.reasons.append(
            f"{len(found.variants) - MAX_VARIANTS} variants over {MAX_VARIANTS} are left out."
        )
        del found.variants[MAX_VARIANTS:]
    if not found.variants:
        found.options = ()
    return found


def _read_each(raw_variants: Sequence[Any], reasons: list[str]) -> list[SourceVariant]:
    """Return the variants with valid fields; an invalid optional field is left out."""
    read: list[SourceVariant] = []
    known: set[str] = set()
    for place, raw in enumerate(raw_variants):
        name = raw.get("sku") if isinstance(raw, dict) else None
        name = name if isinstance(name, str) and name else f"Variant {place + 1}"
        try:
            variant, dropped = _read_one(raw)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = f"{first['loc'][0]}: " if first["loc"] else ""
            reasons.append(f"{name} is left out: {where}{first['msg']}")
            continue
        reasons += [f"{name}: {reason}" for reason in dropped]
        if variant.sku in known:
            reasons.append(f"{name} is left out: an earlier variant has this SKU.")
            continue
        known.add(variant.sku)
        read.append(variant)
    return read


def _read_one(raw: Any) -> tuple[SourceVariant, list[str]]:
    if isinstance(raw, dict):
        raw = {name: value for name, value in raw.items() if value is not None}
    try:
        return SourceVariant.model_validate(raw), []
    except ValidationError as error:
        wrong = {each["loc"][0]: each["msg"] for each in error.errors() if each["loc"]}
        if not wrong or not wrong.keys() <= {"weight_grams", "compare_at_price", "image", "title"}:
            raise
    kept = {name: value for name, value in raw.items() if name not in wrong}
    return SourceVariant.model_validate(kept), [f"{name}: {reason}" for name, reason in wrong.items()]


def _read_options(raw: Any, reasons: list[str]) -> tuple[Option, ...]:
    if not raw:
        return ()
    try:
        read = OPTIONS.validate_python(raw)
        return to_options(CHECKED_OPTIONS.validate_python(read))
    except ValidationError as error:
        reasons.append(f"The options are those of the variants: {error.errors()[0]['msg']}")
        return ()


def _find_options(variants: Sequence[SourceVariant]) -> tuple[Option, ...]:
    """Return the options of the first variant that has any, with the values of all variants."""
    first = next(variant for variant in variants if variant.options)
    found: dict[str, dict[str, None]] = {name: {} for name in first.options}
    for variant in variants:
        for name in found.keys() & variant.options.keys():
            found[name][variant.options[name]] = None
    return tuple(Option(name, tuple(values)) for name, values in found.items())


def _use_titles(variants: Sequence[SourceVariant], currency: str, found: ReadVariants) -> None:
    """Give variants without options the option `Variant`, with their titles as values.

    Without a distinct title for each, only the first is for sale.
    """
    titles = [variant.title for variant in variants]
    if (
        len(variants) > 1
        and None not in titles
        and len({str(title).casefold() for title in titles}) == len(titles)
    ):
        variants, others = variants[:MAX_VARIANTS], variants[MAX_VARIANTS:]
        if others:
            found.reasons.append(f"{len(others)} variants over {MAX_VARIANTS} are left out.")
        named = [variant.model_copy(update={"options": {BY_TITLE: variant.title}}) for variant in variants]
        found.options = (Option(BY_TITLE, tuple(variant.options[BY_TITLE] for variant in named)),)
        found.variants = [variant.to_offered(currency) for variant in named]
    elif variants:
        found.only = variants[0].to_offered(currency)
        if len(variants) > 1:
            found.reasons.append(
                f"Only {variants[0].sku} is for sale, because the variants have neither options nor titles"
                " that differ."
            )
