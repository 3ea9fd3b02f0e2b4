"""Products in files: the rows of an import, and the lines of an export."""

import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from catalog.domain import MAX_ID, ExportedProduct
from catalog.media import MOST_IMAGES, trim_alts
from catalog.schemas.admin import ProductFields, Slug
from catalog.schemas.fields import NOT_SET, SOLD, Metadata, OnHand
from catalog.schemas.images import Alt
from catalog.schemas.variants import Options, Values, VariantFields
from catalog.variants import MAX_VARIANTS, Variant
from shared.json_bounds import find_excess
from shared.schemas import Integer, Line, example

MAX_LINE = 1024 * 1024  # Bytes.

Id = Annotated[Integer, Field(ge=1, le=MAX_ID)]
# The values of a row by column, as an import stages them.
Row = dict[str, Any]


class ImportVariant(VariantFields):
    """A variant in a line: the variant with this `id`, `sku` or these `options`, else a new variant."""

    id: Id = NOT_SET
    version: Id = NOT_SET
    on_hand: OnHand = NOT_SET
    stock: Integer = NOT_SET

    def read(self, name: str) -> Any:
        """Return the value of a field, or None if it is absent."""
        return getattr(self, name) if name in self.model_fields_set else None


class ImportRow(ProductFields):
    """A line of an import: the product with this `id`, else the product with this `sku`, else a new product.

    Absent fields stay unchanged. With a `version`, the product must still have that version. A new product
    needs a title and a price. `variants` adds and changes variants, which then have the SKUs, the prices and
    the counts; it withdraws none.
    """

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "sku": "KIT-0301",
                "title": "Beech Rolling Pin",
                "category": "kitchen",
                "unit_amount": 2450,
                "on_hand": 40,
            }
        )
    )

    id: Id = NOT_SET
    version: Id = NOT_SET
    slug: Slug = NOT_SET
    # In the order of `images`; those that are missing at the end are empty.
    image_alts: Annotated[list[Alt], Field(max_length=MOST_IMAGES)] = NOT_SET
    on_hand: OnHand = NOT_SET
    # Must be the shop's currency.
    currency: str = NOT_SET
    # Exports contain the available stock. Imports ignore it, because sales change it; they set `on_hand`.
    stock: Integer = NOT_SET
    # The metadata of the only variant; `metadata` is the product's.
    variant_metadata: Metadata = NOT_SET
    options: Options = NOT_SET
    variants: Annotated[list[ImportVariant], Field(min_length=1, max_length=MAX_VARIANTS)] = NOT_SET

    @model_validator(mode="after")
    def _check_variants(self) -> Self:
        of_variants = {*SOLD, "price", "on_hand", "variant_metadata"}
        if "variants" in self.model_fields_set and (both := sorted(self.model_fields_set & of_variants)):
            raise ValueError(f"{both[0]} belongs to the variants")
        return self

    @model_validator(mode="after")
    def _check_alts(self) -> Self:
        if {"images", "image_alts"} <= self.model_fields_set:
            known: dict[str, Any] = {}
            for url, alt in zip_longest(self.images, self.image_alts[: len(self.images)]):
                if known.setdefault(url, alt) != alt:
                    raise ValueError("image_alts has two texts for the same image")
        return self

    def read_values(self, currency: str) -> dict[str, Any]:
        """Return the given values by column; raise ValidationFailed if `price` and `unit_amount` differ."""
        values = super().read_values(currency)
        if "slug" in self.model_fields_set:
            values["slug"] = self.slug
        if "image_alts" in self.model_fields_set:
            values["image_alts"] = trim_alts(self.image_alts)
        if "variant_metadata" in self.model_fields_set:
            values["metadata"] = self.variant_metadata
        if "on_hand" in self.model_fields_set:
            values["on_hand"] = self.on_hand
        return values

    def read_rows(self, number: int, currency: str) -> list[Row]:
        """Return the rows of this line: one for each variant, of which the first has the product's fields."""
        row: Row = {"row": number, "wanted_id": self.read("id"), "wanted_version": self.read("version")}
        values = self.read_values(currency)
        product: Row = {**row, **values, "given": list(values)}
        if "options" in self.model_fields_set:
            product["options"] = [option.model_dump() for option in self.options]
        if "variants" not in self.model_fields_set:
            return [product]
        rows = []
        for place, variant in enumerate(self.variants):
            own = row if place else product
            values = variant.read_values(currency)
            pairs = values.pop("option_values", None) or {}
            if "on_hand" in variant.model_fields_set:
                values["on_hand"] = variant.on_hand
            wanted = {
                "group_key": str(number),
                "given": [*own.get("given", []), *values],
                "wanted_variant_id": variant.read("id"),
                "wanted_variant_version": variant.read("version"),
            }
            rows.append({**own, **values, **wanted, **to_pairs(pairs)})
        return rows

    def read(self, name: str) -> Any:
        """Return the value of a field, or None if it is absent."""
        return getattr(self, name) if name in self.model_fields_set else None


class CsvRow(ImportRow):
    """A line of a CSV file, which is for one variant."""

    # The product of new variants: the same text in all its lines.
    handle: Annotated[Line, Field(max_length=255)] = NOT_SET
    variant_id: Id = NOT_SET
    variant_version: Id = NOT_SET
    option_values: Values = NOT_SET

    @model_validator(mode="after")
    def _check_id(self) -> Self:
        if "variant_id" in self.model_fields_set and "id" not in self.model_fields_set:
            raise ValueError("variant_id needs the id of the product")
        return self

    def read_rows(self, number: int, currency: str) -> list[Row]:
        """Return the row of this line."""
        (row,) = super().read_rows(number, currency)
        pairs = to_pairs(self.option_values) if "option_values" in self.model_fields_set else {}
        wanted = {
            "group_key": self.read("handle"),
            "wanted_variant_id": self.read("variant_id"),
            "wanted_variant_version": self.read("variant_version"),
        }
        return [row | wanted | pairs]


def to_pairs(values: Mapping[str, str]) -> Row:
    """Return the columns that keep option values in the order of the file."""
    return {"option_names": list(values), "option_values": list(values.values())} if values else {}


def to_line(product: ExportedProduct, currency: str) -> dict[str, Any]:
    """Return the export line of a product, which an import accepts."""
    line: dict[str, Any] = {"id": product.id, "version": product.version}
    if product.is_plain:
        line["sku"] = product.variants[0].sku
    line |= {
        "title": product.title,
        "slug": product.slug,
        "brand": product.brand,
        "category": product.category,
        "currency": currency,
        "description": product.description,
        "rating": None if product.rating is None else float(product.rating),
        "images": product.images,
        "image_alts": product.image_alts,
        "tax_class": product.tax_class,
        "metadata": dict(product.metadata),
    }
    if product.is_plain:
        (variant,) = product.variants
        return {**line, **_to_sold(variant), "variant_metadata": dict(variant.metadata)}
    options = [{"name": option.name, "values": list(option.values)} for option in product.options]
    return {**line, "options": options, "variants": [_to_variant(each) for each in product.variants]}


def write_lines(product: ExportedProduct, currency: str) -> bytes:
    """Return the export of a product as JSON: one line, or more if an import would refuse it as too long."""
    return b"".join(_split(to_line(product, currency)))


def to_json(values: dict[str, Any]) -> bytes:
    """Return the values as a line of JSON."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _split(line: dict[str, Any]) -> Iterator[bytes]:
    written = to_json(line)
    variants = line.get("variants", [])
    if len(variants) == 1 or (len(written) < MAX_LINE and not find_excess(written)):
        yield written
        return
    half = len(variants) // 2
    named = {"id": line["id"], "version": line["version"]}
    yield from _split({**line, "variants": variants[:half]})
    yield from _split({**named, "variants": variants[half:]})


def _to_sold(variant: Variant) -> dict[str, Any]:
    return {name: getattr(variant, name) for name in (*SOLD[1:], "stock")}


def _to_variant(variant: Variant) -> dict[str, Any]:
    return {
        "id": variant.id,
        "version": variant.version,
        "sku": variant.sku,
        "options": dict(variant.option_values or {}),
        **_to_sold(variant),
        "metadata": dict(variant.metadata),
    }
