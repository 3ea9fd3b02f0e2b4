"""Products as CSV (RFC 4180): one line per variant."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from catalog.domain import ExportedProduct
from catalog.schemas.admin import OTHER
from catalog.schemas.imports import to_line
from shared.json_bounds import find_excess

MAX_OPTIONS = 5
OPTION_COLUMNS = [
    f"option{number}_{part}" for number in range(1, MAX_OPTIONS + 1) for part in ("name", "value")
]
# Spreadsheets run a cell that begins with one of these signs as a formula. An export puts an apostrophe
# before it, also if there is one already; an import takes one apostrophe away.
FORMULA = re.compile(r"'*[=+\-@\t\r]")
ESCAPED = re.compile(r"'+[=+\-@\t\r]")
INTEGER = re.compile(r"-?[0-9]{1,19}")
DECIMAL = re.compile(r"([0-9]{1,20})(?:[.,]([0-9]{1,20}))?")
SHORTENED = re.compile(r"[0-9]([.,][0-9]+)?E\+[0-9]+", re.IGNORECASE)


class CellInvalid(ValueError):
    """A cell that its column cannot contain; `field` is the column."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


def _read_text(_name: str, cell: str) -> Any:
    return cell[1:] if ESCAPED.match(cell) else cell


def _read_integer(name: str, cell: str) -> Any:
    cell = cell.strip()
    if SHORTENED.fullmatch(cell):
        raise CellInvalid(name, "A spreadsheet has shortened this number; format the column as text.")
    # Other text is refused as no integer.
    return int(cell) if INTEGER.fullmatch(cell) else cell


def read_decimal(name: str, cell: str) -> Decimal:
    """Return the number in a cell, such as `1234.50` or `1234,50`; raise CellInvalid if it is ambiguous."""
    found = DECIMAL.fullmatch(cell.strip())
    if not found:
        raise CellInvalid(
            name, "Write the number without thousands separators and currency, such as 1234.50."
        )
    whole, decimals = found.groups()
    if decimals and len(decimals) == 3:
        raise CellInvalid(
            name, "It may have a thousands separator; write two decimal places, such as 1234.50."
        )
    return Decimal(f"{whole}.{decimals or 0}")


def _read_rating(name: str, cell: str) -> Any:
    return read_decimal(name, cell)


def _read_json(name: str, cell: str) -> Any:
    if excess := find_excess(cell.encode()):
        raise CellInvalid(name, excess)
    try:
        return json.loads(cell)
    except ValueError as error:
        raise CellInvalid(name, f"It is not JSON: {error}") from None


def _read_images(_name: str, cell: str) -> Any:
    return [line for line in _read_text("", cell).splitlines() if line.strip()]


def _read_alts(_name: str, cell: str) -> Any:
    # An empty line stands for an image without an alt text. Spreadsheets write different ends of lines.
    return re.split(r"\r\n|\r|\n", _read_text("", cell))


READERS: dict[str, Callable[[str, str], Any]] = {
    "id": _read_integer,
    "variant_id": _read_integer,
    "version": _read_integer,
    "variant_version": _read_integer,
    "handle": _read_text,
    "sku": _read_text,
    "title": _read_text,
    "slug": _read_text,
    "brand": _read_text,
    "category": _read_text,
    **dict.fromkeys(OPTION_COLUMNS, _read_text),
    "price": read_decimal,
    "unit_amount": _read_integer,
    "compare_at_amount": _read_integer,
    "currency": _read_text,
    "stock": _read_integer,
    "on_hand": _read_integer,
    "low_stock_threshold": _read_integer,
    "weight_grams": _read_integer,
    "tax_class": _read_text,
    "rating": _read_rating,
    "description": _read_text,
    "images": _read_images,
    "image_alts": _read_alts,
    "options": _read_json,
    "metadata": _read_json,
    "variant_metadata": _read_json,
}
# An export has no `handle`, `price` and `on_hand`, which stand for other columns.
EXPORTED = [name for name in READERS if name not in {"handle", "price", "on_hand"}]
OF_VARIANT = ("sku", "unit_amount", "compare_at_amount", "stock", "low_stock_threshold", "weight_grams")
# What an empty cell means. A product's fields are cleared only in a line that has its title, since further
# lines of a product leave them empty. Other columns stay unchanged.
CLEARED_OF_PRODUCT: dict[str, Any] = {
    "brand": None,
    "category": OTHER,
    "description": "",
    "rating": None,
    "images": [],
    "image_alts": [],
    "tax_class": None,
    "metadata": {},
}
CLEARED_OF_VARIANT: dict[str, Any] = {
    "compare_at_amount": None,
    "weight_grams": None,
    "low_stock_threshold": None,
    "variant_metadata": {},
}


def read_cells(cells: Mapping[str, str]) -> dict[str, Any]:
    """Return the members of a line from its cells by column; raise CellInvalid."""
    values: dict[str, Any] = {}
    cleared = CLEARED_OF_VARIANT | (CLEARED_OF_PRODUCT if cells.get("title", "").strip() else {})
    for name, cell in cells.items():
        if cell.strip():
            values[name] = READERS[name](name, cell)
        elif name in cleared:
            values[name] = cleared[name]
    if pairs := _read_options(values):
        values["option_values"] = pairs
    return values


def _read_options(values: dict[str, Any]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for number in range(1, MAX_OPTIONS + 1):
        name, value = (values.pop(f"option{number}_{part}", None) for part in ("name", "value"))
        if (name is None) != (value is None):
            missing = "name" if name is None else "value"
            raise CellInvalid(f"option{number}_{missing}", "An option needs a name and a value.")
        if name is not None:
            if name in pairs:
                raise CellInvalid(f"option{number}_name", f"{name} is there twice.")
            pairs[name] = value
    return pairs


def to_cells(product: ExportedProduct, currency: str) -> Iterator[list[str]]:
    """Yield the lines of a product; only the first has the fields of the product itself."""
    line = to_line(product, currency)
    texts = {name: "\n".join(line[name]) for name in ("images", "image_alts")}
    shared = {**line, **texts, "options": line.get("options") or None}
    for place, variant in enumerate(product.variants):
        values = {name: line[name] for name in ("id", "version", "currency")} if place else shared
        given = variant.option_values or {}
        pairs = [(option.name, given[option.name]) for option in product.options if option.name in given]
        for number, (name, value) in enumerate(pairs, 1):
            values = {**values, f"option{number}_name": name, f"option{number}_value": value}
        values = {
            **values,
            "variant_id": variant.id,
            "variant_version": variant.version,
            "variant_metadata": dict(variant.metadata),
            **{name: getattr(variant, name) for name in OF_VARIANT},
        }
        yield [_write_cell(values.get(name)) for name in EXPORTED]


def _write_cell(value: Any) -> str:
    if value is None or value == {}:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _escape(value) if isinstance(value, str) else str(value)


def _escape(text: str) -> str:
    return f"'{text}" if FORMULA.match(text) else text
