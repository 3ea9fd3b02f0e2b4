"""Read the files of imports: JSON Lines, CSV, and Shopify's CSV, with a constant use of memory."""

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import IO, Any

from pydantic import ValidationError

from catalog.schemas import shopify
from catalog.schemas.csv_rows import READERS, CellInvalid, read_cells
from catalog.schemas.imports import MAX_LINE, CsvRow, ImportRow, Row
from catalog.variants import MAX_VARIANTS
from shared.errors import ValidationFailed
from shared.json_bounds import find_excess

BUFFER = 256 * 1024
MAX_PROBLEMS = 100  # Problems to list; all are counted.
MAX_COLUMNS = 500
MAX_GROUP = MAX_VARIANTS + shopify.MAX_IMAGES  # Lines of a product in Shopify's format.
DELIMITERS = ",;\t"
SEPARATOR = re.compile(r"sep=.?", re.IGNORECASE)  # The line in which Excel may name the delimiter.
NOT_TEXT = "The file is not text in UTF-8 from about this row on; save it as CSV UTF-8."
TOO_LONG = "The line is longer than a megabyte."

# The rows of a line, or the problem with it.
Read = tuple[int, list[Row] | ValidationFailed]


class Format(StrEnum):
    """The format of a file."""

    LINES = "lines"
    CSV = "csv"


@dataclass
class Notes:
    """What an import did not use: columns that the shop does not know, and products that are not for sale."""

    ignored_columns: list[str] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    left_out_count: int = 0

    def leave_out(self, row: int, name: str, detail: str) -> None:
        """Note a product that is left out."""
        self.left_out_count += 1
        if len(self.left_out) < MAX_PROBLEMS:
            self.left_out.append(describe(row, name, detail))


def read_file(body: IO[bytes], kind: Format, currency: str, notes: Notes) -> Iterator[Read]:
    """Yield each line's number with its rows, or with the problem if it is invalid."""
    # BufferedReader calls readinto only.
    reader = io.BufferedReader(body, BUFFER)  # type: ignore[type-var]  # BufferedReader calls readinto only.
    if kind is Format.LINES:
        yield from _read_json_lines(reader, currency)
    else:
        yield from _read_csv(reader, currency, notes)


def describe(row: int, name: str, detail: str) -> dict[str, str]:
    """Return a problem with a row as the caller sees it."""
    return {"location": f"row {row}", "field": name, "detail": detail}


def _read_json_lines(reader: "io.BufferedReader[Any]", currency: str) -> Iterator[Read]:
    for number, line in enumerate(_split_lines(reader), 1):
        if line is not None and not line.strip():
            continue
        try:
            yield number, _read_json_line(line, number, currency)
        except ValidationFailed as problem:
            yield number, problem


def _split_lines(reader: "io.BufferedReader[Any]") -> Iterator[bytes | None]:
    """Yield lines without the byte order mark that spreadsheets write; None is a line that is too long."""
    if reader.peek(len(BOM_UTF8)).startswith(BOM_UTF8):
        reader.read(len(BOM_UTF8))
    while line := reader.readline(MAX_LINE):
        if len(line) < MAX_LINE or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = reader.readline(MAX_LINE)
        yield None


def _read_json_line(line: bytes | None, number: int, currency: str) -> list[Row]:
    if line is None:
        raise _explain("", TOO_LONG)
    if excess := find_excess(line):
        raise _explain("", excess)
    try:
        row = ImportRow.model_validate_json(line)
    except ValidationError as error:
        raise _explain_first(error) from None
    return _read_rows(row, number, currency)


def _read_rows(row: ImportRow, number: int, currency: str) -> list[Row]:
    if "currency" in row.model_fields_set and row.currency != currency:
        raise _explain("currency", f"The shop's currency is {currency}.")
    return row.read_rows(number, currency)


class _Records:
    """The records of a CSV file that are not blank; `number` counts all, as a spreadsheet does."""

    def __init__(self, reader: "io.BufferedReader[Any]") -> None:
        start = reader.peek(2)
        is_wide = start.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        self._text = io.TextIOWrapper(reader, "utf-16" if is_wide else "utf-8-sig", newline="")
        self.number = 0
        self._length = 0
        header = self._read_line()
        while header and (not header.strip() or SEPARATOR.fullmatch(header.strip())):
            self.number += 1
            self._length = 0
            header = self._read_line()
        # A quoted name may contain any delimiter.
        plain = "".join(header.split('"')[::2])
        delimiter = max(DELIMITERS, key=plain.count)
        self._reader = csv.reader(self._feed(header), delimiter=delimiter, strict=True)

    def _feed(self, header: str) -> Iterator[str]:
        yield header
        while line := self._read_line():
            yield line

    def _read_line(self) -> str:
        line = self._text.readline(MAX_LINE)
        self._length += len(line)
        # A quotation mark without its end would make one record of the rest of the file.
        if self._length >= MAX_LINE:
            raise _explain("", TOO_LONG)
        if "\0" in line:
            raise _explain("", NOT_TEXT)
        return line

    def read(self) -> list[str] | None:
        """Return the cells of the next record, or None at the end; raise ValidationFailed if it is no CSV."""
        try:
            for cells in self._reader:
                self.number += 1
                self._length = 0
                if any(cell.strip() for cell in cells):
                    return cells
        except csv.Error as error:
            raise _explain("", f"The line is not CSV: {error}.") from None
        return None


def _read_csv(reader: "io.BufferedReader[Any]", currency: str, notes: Notes) -> Iterator[Read]:
    records: _Records | None = None
    try:
        records = _Records(reader)
        header = records.read()
        if header is None:
            return
        is_foreign = shopify.is_shopify([name.strip() for name in header])
        try:
            columns = _read_header(header, is_foreign, notes)
        except ValidationFailed as problem:
            yield records.number, problem
            return
        lines = _read_lines(records, columns)
        rows = _read_shopify(lines, currency, notes) if is_foreign else _read_own(lines, currency)
        yield from rows
    except ValidationFailed as problem:
        yield records.number + 1 if records else 1, problem
    except UnicodeError:
        yield records.number + 1 if records else 1, _explain("", NOT_TEXT)


def _read_header(header: Sequence[str], is_foreign: bool, notes: Notes) -> list[str | None]:
    """Return the known name of each column, or None; raise ValidationFailed."""
    if len(header) > MAX_COLUMNS:
        raise _explain("", f"The file has more than {MAX_COLUMNS} columns.")
    known = shopify.COLUMNS if is_foreign else READERS
    columns: list[str | None] = []
    for name in header:
        given = name.strip() if is_foreign else "_".join(name.casefold().split())
        if given and given in columns:
            raise _explain(given, "The file has this column twice.")
        columns.append(given if given in known else None)
        if given and given not in known:
            notes.ignored_columns.append(name.strip()[:100])
    if not any(columns):
        raise _explain("", "The first line has no column that an import knows.")
    return columns


Line = tuple[int, dict[str, str] | ValidationFailed]


def _read_lines(records: _Records, columns: Sequence[str | None]) -> Iterator[Line]:
    while (cells := records.read()) is not None:
        number = records.number
        if any(cell.strip() for cell in cells[len(columns) :]):
            yield number, _explain("", f"The line has {len(cells)} cells, but the header has {len(columns)}.")
        else:
            # Spreadsheets may leave out empty cells at the end of a line.
            yield number, {name: cell for name, cell in zip(columns, cells, strict=False) if name}


def _read_own(lines: Iterator[Line], currency: str) -> Iterator[Read]:
    for number, cells in lines:
        try:
            yield number, _read_cells(cells, number, currency)
        except ValidationFailed as problem:
            yield number, problem


def _read_cells(cells: dict[str, str] | ValidationFailed, number: int, currency: str) -> list[Row]:
    if isinstance(cells, ValidationFailed):
        raise cells
    try:
        return _validate(read_cells(cells), number, currency)
    except CellInvalid as error:
        raise _explain(error.field, error.detail) from None


def _validate(members: dict[str, Any], number: int, currency: str) -> list[Row]:
    try:
        row = CsvRow.model_validate(members)
    except ValidationError as error:
        raise _explain_first(error) from None
    return _read_rows(row, number, currency)


def _read_shopify(lines: Iterator[Line], currency: str, notes: Notes) -> Iterator[Read]:
    """Yield the products of lines that follow each other with the same Handle."""

    def find_handle(line: Line) -> str:
        return "" if isinstance(line[1], ValidationFailed) else line[1].get(shopify.HANDLE, "").strip()

    for handle, each in groupby(lines, find_handle):
        group: list[tuple[int, dict[str, str]]] = []
        for number, cells in each:
            if isinstance(cells, ValidationFailed):
                yield number, cells
            elif not handle:
                yield number, _explain(shopify.HANDLE, "Required.")
            elif len(group) == MAX_GROUP:
                yield number, _explain(shopify.HANDLE, f"A product has at most {MAX_GROUP} lines.")
            else:
                group.append((number, cells))
        if group:
            yield from _read_group(group, currency, notes)


def _read_group(group: list[tuple[int, dict[str, str]]], currency: str, notes: Notes) -> Iterator[Read]:
    first, cells = group[0]
    rows: dict[int, list[Row] | ValidationFailed] = {number: [] for number, _cells in group}
    if reason := shopify.find_reason(cells):
        notes.leave_out(first, *reason)
    else:
        try:
            product, variants = shopify.read_product(group, currency)
            for place, (number, variant) in enumerate(variants):
                shared = {"handle": product["handle"]} if place else product
                try:
                    (row,) = _validate({**shared, **variant}, number, currency)
                    rows[number] = [{**row, "wanted_slug": row["group_key"]}]
                except ValidationFailed as problem:
                    rows[number] = problem
            if not variants:
                rows[first] = _explain(shopify.PRICE, "The product has no line with a price.")
        except shopify.LineInvalid as problem:
            rows[problem.row] = _explain(problem.field, problem.detail)
        except ValidationFailed as problem:
            rows[first] = problem
    yield from rows.items()


def _explain_first(error: ValidationError) -> ValidationFailed:
    first = error.errors(include_input=False, include_url=False)[0]
    return _explain(".".join(map(str, first["loc"]))[:100], first["msg"])


def _explain(name: str, detail: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"location": "row", "field": name, "detail": detail}])
