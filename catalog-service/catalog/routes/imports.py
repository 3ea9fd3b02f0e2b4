"""Import and export of products as JSON Lines and as CSV."""

import codecs
import csv
import io
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain, islice
from typing import IO, cast

from apiflask import APIBlueprint
from flask import Response, request
from werkzeug.wsgi import LimitedStream

from catalog.domain import ExportedProduct
from catalog.errors import ImportRefused, ImportRunning
from catalog.routes.bodies import drain_refused_bodies
from catalog.schemas.csv_rows import EXPORTED, to_cells
from catalog.schemas.imports import ImportRow, to_json, write_lines
from catalog.use_cases.admin import export_products
from catalog.use_cases.import_files import Format
from catalog.use_cases.imports import Progress, import_products
from shared import context
from shared.app import reads_body
from shared.context import Context
from shared.database import Database
from shared.errors import Problem, UnsupportedMediaType
from shared.openapi import Responses, document_errors
from shared.schemas import example_of

LINES = ("application/x-ndjson", "application/jsonl")
CSV = "text/csv"
MAX_IMPORT = 1024 * 1024 * 1024  # Bytes; the gateway has the same limit.
CHUNK = 200  # Lines per chunk of an export.
PROGRESS_INTERVAL = 1.0  # Seconds between two progress lines.

_ROW = {"type": "object", "description": "One product per line.", "examples": [example_of(ImportRow)]}
_PROGRESS = {
    "type": "object",
    "description": "One progress line per second, and a final line.",
    "properties": {
        "status": {"enum": ["running", "done", "failed"]},
        "rows": {"type": "integer"},
        "applied": {"type": "integer"},
        "added": {"type": "integer"},
        "changed": {"type": "integer"},
        "ignored_columns": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Columns of the file that the shop does not know; only in the final line.",
        },
        "left_out": {
            "type": "array",
            "items": {"type": "object"},
            "description": "The first 100 products that the file itself marks as not for sale.",
        },
        "left_out_count": {"type": "integer"},
    },
    "examples": [{"status": "done", "rows": 2, "applied": 2, "added": 1, "changed": 1}],
}
_TABLE = {
    "type": "string",
    "description": "One line per variant (RFC 4180).",
    "examples": ["sku,title,unit_amount\r\nKIT-0301,Beech Rolling Pin,2450\r\n"],
}
_EXPORTED: Responses = {
    200: {
        "description": "All products for sale.",
        "content": {LINES[0]: {"schema": _ROW}, CSV: {"schema": _TABLE}},
    }
}
_LOADED: Responses = {
    200: {"description": "All products were imported.", "content": {LINES[0]: {"schema": _PROGRESS}}},
    **document_errors(
        ImportRunning,
        UnsupportedMediaType,
        ImportRefused(
            rows=2,
            rejected=1,
            errors=[{"location": "row 2", "field": "title", "detail": "Field required"}],
        ),
    ),
}


def import_routes(database: Database, currency: str) -> APIBlueprint:
    """Return the import and export routes."""
    routes = APIBlueprint("imports", __name__)
    drain_refused_bodies(routes)

    @routes.get("/products/export")
    @routes.doc(responses=_EXPORTED)
    def export() -> Response:
        """Export all products for sale, by id, from one snapshot; imports accept the file.

        With `Accept: text/csv` it is CSV with one line per variant, else JSON Lines with one per product.
        """
        products = export_products(database)
        kind = request.accept_mimetypes.best_match([LINES[0], CSV], LINES[0])
        lines = _write_table(products, currency) if kind == CSV else _write_lines(products, currency)
        # Fetch the first chunk before the response starts, so that an unavailable database is still a 503.
        response = _stream(chain([next(lines, b"")], lines), kind)
        response.vary.add("Accept")
        return response

    @routes.post("/products/import")
    @routes.doc(
        responses=_LOADED,
        extensions={
            "requestBody": {
                "content": {
                    **{kind: {"schema": ImportRow.model_json_schema()} for kind in LINES},
                    CSV: {"schema": _TABLE},
                },
            }
        },
    )
    @reads_body
    def load() -> Response:
        """Add and change products from JSON Lines or CSV: all of them, or none.

        A line of JSON is for the product with its `id`, else the product with its `sku`, else a new product,
        and sets the fields it contains. A line of CSV is for one variant. Shopify's product CSV is read, too.
        422 `import_refused` lists the first 100 invalid rows by number. The response streams one progress
        line per second; unless the last line has the status `done`, nothing was imported.
        """
        if request.mimetype not in {*LINES, CSV} or request.content_encoding not in {None, "identity"}:
            raise UnsupportedMediaType
        request.max_content_length = MAX_IMPORT
        body: IO[bytes] = request.stream  # Enforces max_content_length.
        if request.content_length is not None:
            # The server ends a truncated body like a complete one; LimitedStream detects the difference.
            body = cast(IO[bytes], LimitedStream(body, request.content_length))
        kind = Format.CSV if request.mimetype == CSV else Format.LINES
        steps = import_products(database, body, currency, kind)
        # The first step follows the validation of all rows, so invalid rows raise here.
        next(steps)
        return _stream(_write_progress(steps), LINES[0])

    return routes


def _stream(lines: Iterator[bytes], kind: str) -> Response:
    content_type = "text/csv; charset=utf-8; header=present" if kind == CSV else kind
    response = Response(_in_context(context.current(), lines), content_type=content_type)
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _in_context(work: Context | None, lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines in the context of the request, which the application has already left."""
    context.enter(work or Context())
    try:
        yield from lines
    finally:
        context.leave()


def _write_lines(products: Generator[ExportedProduct], currency: str) -> Iterator[bytes]:
    with closing(products):
        while chunk := list(islice(products, CHUNK)):
            yield b"".join(write_lines(product, currency) for product in chunk)


def _write_table(products: Generator[ExportedProduct], currency: str) -> Iterator[bytes]:
    """Yield CSV with the byte order mark without which spreadsheets read another encoding."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    with closing(products):
        yield codecs.BOM_UTF8 + (",".join(EXPORTED) + "\r\n").encode()
        while chunk := list(islice(products, CHUNK)):
            for product in chunk:
                writer.writerows(to_cells(product, currency))
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()


def _write_progress(steps: Generator[Progress]) -> Iterator[bytes]:
    """Yield one line per second and a final line, so that a short import has a single line.

    If the client disconnects, the generator is closed and the transaction rolled back: nothing is imported.
    """
    reported_at = time.monotonic()
    with closing(steps):
        try:
            for step in steps:
                if step.is_done or time.monotonic() - reported_at >= PROGRESS_INTERVAL:
                    reported_at = time.monotonic()
                    numbers = {name: getattr(step, name) for name in ("rows", "applied", "added", "changed")}
                    notes = {name: value for name, value in vars(step.notes).items() if value}
                    yield to_json({"status": "done" if step.is_done else "running", **numbers, **notes})
        except Problem as problem:
            yield to_json({"status": "failed", "code": problem.code, "detail": problem.detail})
