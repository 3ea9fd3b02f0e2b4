"""Import products from JSON Lines: all of them, or none."""

import io
import logging
from codecs import BOM_UTF8
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import IO, Any

from pydantic import ValidationError

from catalog.errors import ImportRefused, ImportRunning
from catalog.repository import imports as repository
from catalog.repository.skus import lock_skus
from catalog.schemas.imports import ImportRow
from shared.database import Connection, Database
from shared.errors import ValidationFailed
from shared.json_bounds import find_excess

log = logging.getLogger(__name__)

MAX_LINE = 1024 * 1024  # Bytes.
BUFFER = 256 * 1024
BATCH = 10_000  # Lines that one statement applies.
MAX_PROBLEMS = 100  # Problems to list; all are counted.


@dataclass(frozen=True)
class Progress:
    """The progress of an import: its rows, the rows applied so far, and the products added and changed."""

    rows: int
    applied: int
    added: int
    changed: int
    is_done: bool = False


def import_products(database: Database, body: IO[bytes], currency: str) -> Generator[Progress]:
    """Add and change products from lines in one transaction, and yield the progress.

    Raises ImportRunning, or ImportRefused with the invalid rows, before it yields the first step. Orders for
    products that change wait until the end; orders for other products do not.
    """
    with database.transaction() as connection:
        if not repository.begin_import(connection):
            raise ImportRunning
        rows, last = _stage(connection, body, currency)
        if not lock_skus(connection):
            raise ImportRunning
        repository.match_rows(connection)
        problems, total = repository.find_problems(connection, MAX_PROBLEMS)
        if total:
            errors = [_describe(*problem) for problem in problems]
            raise ImportRefused(rows=rows, rejected=total, errors=errors)
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
    """Copy the lines into the database; return the number of rows, and the number of the last line."""
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
                if len(problems) < MAX_PROBLEMS:
                    first = problem.extra["errors"][0]
                    problems.append(_describe(number, first["field"], first["detail"]))
                continue
            if not rejected:
                write(number, values)
    if rejected:
        raise ImportRefused(rows=rows, rejected=rejected, errors=problems)
    return rows, number


def _read_lines(body: IO[bytes]) -> Iterator[bytes | None]:
    """Yield lines without the byte order mark that spreadsheets write; None is a line that is too long."""
    reader = io.BufferedReader(body, BUFFER)  # type: ignore[type-var]  # BufferedReader calls readinto only.
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
    """Return the values of a line by column; raise ValidationFailed."""
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


def _describe(row: int, field: str, detail: str) -> dict[str, str]:
    return {"location": f"row {row}", "field": field, "detail": detail}
