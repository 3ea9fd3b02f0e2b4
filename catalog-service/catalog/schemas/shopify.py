"""Products in Shopify's CSV format, as its help centre publishes the columns.

The lines with the same Handle are one product: each line with a price or a SKU is a variant, and each line
with an Image Src is a picture. The slug of the product is its Handle, by which a later import finds it.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import blake2s
from html.parser import HTMLParser
from typing import Any
from unicodedata import normalize

from catalog.schemas.admin import MAX_SLUG
from catalog.schemas.csv_rows import CellInvalid, read_decimal
from catalog.schemas.fields import to_amount
from catalog.schemas.images import MAX_ALT
from shared.errors import ValidationFailed
from shared.schemas import is_blank

HANDLE, TITLE, BODY, VENDOR = "Handle", "Title", "Body (HTML)", "Vendor"
CATEGORY, TYPE, PUBLISHED, STATUS = "Product Category", "Type", "Published", "Status"
SKU, GRAMS, QUANTITY = "Variant SKU", "Variant Grams", "Variant Inventory Qty"
PRICE, COMPARE_AT = "Variant Price", "Variant Compare At Price"
IMAGE, POSITION, ALT = "Image Src", "Image Position", "Image Alt Text"
OPTIONS = [(f"Option{number} Name", f"Option{number} Value") for number in (1, 2, 3)]
COLUMNS = (
    *(
        HANDLE,
        TITLE,
        BODY,
        VENDOR,
        CATEGORY,
        TYPE,
        PUBLISHED,
        STATUS,
        SKU,
        GRAMS,
        QUANTITY,
        PRICE,
        COMPARE_AT,
    ),
    *(IMAGE, POSITION, ALT),
    *(name for pair in OPTIONS for name in pair),
)
NO_OPTION = ("Title", "Default Title")
MAX_IMAGES = 50

Cells = Mapping[str, str]


class LineInvalid(ValueError):
    """A line that cannot be read, with its column; `row` is its number."""

    def __init__(self, row: int, field: str, detail: str) -> None:
        super().__init__(detail)
        self.row, self.field, self.detail = row, field, detail


def is_shopify(header: Sequence[str]) -> bool:
    """Return whether a file with this header is Shopify's."""
    return HANDLE in header and bool({SKU, PRICE, BODY, IMAGE} & set(header))


def find_reason(first: Cells) -> tuple[str, str] | None:
    """Return the column and the reason why the product of this first line is left out, or None."""
    status = first.get(STATUS, "").strip().casefold()
    if status not in {"", "active"}:
        return STATUS, f"The product {first[HANDLE]} is {status}."
    if first.get(PUBLISHED, "").strip().casefold() == "false":
        return PUBLISHED, f"The product {first[HANDLE]} is not published."
    return None


def read_product(
    lines: Sequence[tuple[int, Cells]], currency: str
) -> tuple[dict[str, Any], list[tuple[int, dict[str, Any]]]]:
    """Return the members of a product, and those of its variants with their row numbers.

    Raises LineInvalid.
    """
    _number, first = lines[0]
    product: dict[str, Any] = {"handle": to_slug(first[HANDLE])}
    texts = {"title": first.get(TITLE, ""), "brand": first.get(VENDOR, ""), "category": _find_category(first)}
    product |= {name: text for name, text in texts.items() if not is_blank(text)}
    if BODY in first:
        product["description"] = to_plain_text(first[BODY])
    if images := _find_images(lines):
        product["images"] = list(images)
        if ALT in first:
            product["image_alts"] = list(images.values())
    names = [first.get(name, "").strip() for name, _value in OPTIONS]
    variants = []
    for number, line in lines:
        if not any(line.get(name, "").strip() for name in (SKU, PRICE, OPTIONS[0][1])):
            continue
        try:
            variants.append((number, _read_variant(line, names, currency)))
        except CellInvalid as error:
            raise LineInvalid(number, error.field, error.detail) from None
    return product, variants


def _read_variant(line: Cells, names: Sequence[str], currency: str) -> dict[str, Any]:
    given = {name: cell.strip() for name, cell in line.items() if cell.strip()}
    variant: dict[str, Any] = {"sku": given[SKU]} if SKU in given else {}
    if PRICE in given:
        variant["unit_amount"] = _read_amount(PRICE, given[PRICE], currency)
    if COMPARE_AT in line:
        text = given.get(COMPARE_AT)
        variant["compare_at_amount"] = _read_amount(COMPARE_AT, text, currency) if text else None
    if GRAMS in given:
        variant["weight_grams"] = int(read_decimal(GRAMS, given[GRAMS]) + Decimal("0.5"))
    if QUANTITY in given:
        # Shopify counts oversold units as a negative quantity.
        variant["on_hand"] = (
            0 if given[QUANTITY].startswith("-") else int(read_decimal(QUANTITY, given[QUANTITY]))
        )
    pairs = [
        (name, given.get(column, "")) for name, (_name, column) in zip(names, OPTIONS, strict=True) if name
    ]
    if pairs and pairs != [NO_OPTION]:
        variant["option_values"] = dict(pairs)
    return variant


def _read_amount(name: str, text: str, currency: str) -> int:
    try:
        return to_amount(name, read_decimal(name, text), currency)
    except ValidationFailed as problem:
        raise CellInvalid(name, problem.extra["errors"][0]["detail"]) from None


def _find_category(line: Cells) -> str:
    """Return the shop's own type, or else the last part of Shopify's category (`Home > Kitchen`)."""
    return line.get(TYPE, "").strip() or line.get(CATEGORY, "").rpartition(">")[2].strip()


def _find_images(lines: Sequence[tuple[int, Cells]]) -> dict[str, str]:
    """Return the pictures in their order, with their alt texts."""
    found = []
    for number, line in lines:
        if source := line.get(IMAGE, "").strip():
            text = line.get(POSITION, "").strip()
            alt = " ".join(line.get(ALT, "").split())
            if len(alt) > MAX_ALT:
                raise LineInvalid(number, ALT, f"It has more than {MAX_ALT} characters.")
            found.append((int(text) if text.isdecimal() else number, number, source, alt))
    images: dict[str, str] = {}
    for _position, _number, source, alt in sorted(found):
        # A picture that several variants share is one picture.
        images[source] = images.get(source) or alt
    return images


def to_slug(handle: str) -> str:
    """Return the slug for a Handle, which is the Handle itself if it is a slug.

    Two Handles have the same slug only if they differ by the case of their letters.
    """
    name = normalize("NFKC", handle).strip().casefold()
    letters = normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")
    if slug == name and len(slug) <= MAX_SLUG:
        return slug
    digest = blake2s(name.encode(errors="replace"), digest_size=6).hexdigest()
    return "-".join(filter(None, [slug[:80].strip("-"), digest]))


def to_plain_text(html: str) -> str:
    """Return the text of an HTML document, with a line for each block."""
    reader = _TextReader()
    reader.feed(html)
    reader.close()
    lines = [re.sub(r"[^\S\n]+", " ", line).strip() for line in "".join(reader.parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _TextReader(HTMLParser):
    HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
    PARAGRAPHS = frozenset(
        [*("p", "div", "ul", "ol", "table", "blockquote", "section", "article", "pre"), *HEADINGS]
    )
    STARTS: Mapping[str, str] = {"br": "\n", "tr": "\n", "li": "\n- ", "td": " ", "th": " "}
    HIDDEN = frozenset({"script", "style", "template", "head"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002  # As in HTMLParser.
        self._hidden += tag in self.HIDDEN
        self.parts.append("\n\n" if tag in self.PARAGRAPHS else self.STARTS.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.PARAGRAPHS:
            self.parts.append("\n\n")
        self._hidden -= tag in self.HIDDEN and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(re.sub(r"\s+", " ", data))
