"""Importing products from a file of lines: all of it, or nothing."""

import io
import logging
from codecs import BOM_UTF8
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import IO, Any

from pydantic import ValidationError

from catalog.errors import ImportRefused, ImportRunning
from catalog.repository import imports as repository
from catalog.repository.admin import lock_skus
from catalog.schemas.imports import ImportRow
from shared.database import Connection, Database
from shared.errors import ValidationFailed
from shared.json_bounds import find_excess

log = logging.getLogger(__name__)

MAX_LINE = 1024 * 1024  # Bytes.
BUFFER = 256 * 1024
BATCH = 10_000  # Lines that are taken over in one statement.
MOST_PROBLEMS = 100  # That are named; all are counted.


@dataclass(frozen=True)
class Progress:
    """How far an import is: so many of its rows were looked at, and what came of them."""

    rows: int
    applied: int
    added: int
    changed: int
    is_done: bool = False


def import_products(database: Database, body: IO[bytes], currency: str) -> Generator[Progress]:
    """Add and change products as the lines say, in one transaction, and yield how far it is.

    Raises ImportRunning, or ImportRefused with the rows that are not right, before the first is yielded.
    Orders for products that change wait until the end; those for others do not.
    """
    with database.transaction() as connection:
        if not repository.begin_import(connection):
            raise ImportRunning
        rows, last = _stage(connection, body, currency)
        if not lock_skus(connection):
            raise ImportRunning
        repository.match_rows(connection)
        problems, total = repository.find_problems(connection, MOST_PROBLEMS)
        if total:
            raise _refuse(rows, total, [_describe(*problem) for problem in problems])
        applied = added = changed = 0
        yield Progress(rows, applied, added, changed)
        for start in range(0, last, BATCH):
            lines = {"after": start, "upto": start + BATCH}
            changed += repository.update_rows(connection, **lines)
            added += repository.insert_rows(connection, **lines)
            applied = min(rows, start + BATCH)
            yield Progress(rows, applied, added, changed)
    log.info("Products were imported", extra={"rows": rows, "added": added, "changed": changed})
    yield Progress(rows, rows, added, changed, is_done=True)


def _stage(connection: Connection, body: IO[bytes], currency: str) -> tuple[int, int]:
    """Copy the lines into the database; return how many there are, and the last one's number."""
    rows = number = rejected = 0
    problems: list[dict[str, str]] = []
    with repository.staging(connection) as write:
        for number, line in enumerate(_read_lines(body), 1):
            if line is not None and not line.strip():
                continue
            rows += 1
            try:
                values = _read_row(line, currency)
            except ValidationFailed as problem:
                rejected += 1
                if len(problems) < MOST_PROBLEMS:
                    first = problem.extra["errors"][0]
                    problems.append(_describe(number, first["field"], first["detail"]))
                continue
            if not rejected:
                write(number, values)
    if rejected:
        raise _refuse(rows, rejected, problems)
    return rows, number


def _read_lines(body: IO[bytes]) -> Iterator[bytes | None]:
    """Yield lines without the byte order mark that a spreadsheet writes; None is a line that is too long."""
    reader = io.BufferedReader(body, BUFFER)  # type: ignore[type-var]  # It is read by readinto alone.
    if reader.peek(len(BOM_UTF8)).startswith(BOM_UTF8):
        reader.read(len(BOM_UTF8))
    while line := reader.readline(MAX_LINE):
        if len(line) < MAX_LINE or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = reader.readline(MAX_LINE)
        yield None


def _read_row(line: bytes | None, currency: str) -> dict[str, Any]:
    """Return what is in a line by the names of columns; raise ValidationFailed."""
    if line is None:
        raise _explain("", "The line is longer than a megabyte.")
    if excess := find_excess(line):
        raise _explain("", excess)
    try:
        row = ImportRow.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise _explain(".".join(map(str, first["loc"]))[:100], first["msg"]) from None
    given = row.model_fields_set
    if "currency" in given and row.currency != currency:
        raise _explain("currency", f"The shop's currency is {currency}.")
    values = row.read_values(currency)
    if "on_hand" in given:
        values["on_hand"] = row.on_hand
    return {
        **values,
        "given": list(values),
        "wanted_id": row.id if "id" in given else None,
        "wanted_version": row.version if "version" in given else None,
    }


def _explain(field: str, detail: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"location": "row", "field": field, "detail": detail}])


def _refuse(rows: int, rejected: int, problems: list[dict[str, str]]) -> ImportRefused:
    return ImportRefused(rows=rows, rejected=rejected, errors=problems)


def _describe(row: int, field: str, detail: str) -> dict[str, str]:
    return {"location": f"row {row}", "field": field, "detail": detail}
