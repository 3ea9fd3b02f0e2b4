"""Products as files: JSON Lines in and out."""

import json
import time
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import chain, islice
from typing import IO, Any, cast

from apiflask import APIBlueprint
from flask import Response, request
from werkzeug.wsgi import LimitedStream

from catalog.domain import Product
from catalog.errors import ImportRefused, ImportRunning
from catalog.schemas.imports import ImportRow, to_line
from catalog.use_cases.admin import export_products
from catalog.use_cases.imports import Progress, import_products
from shared import context
from shared.app import reads_body
from shared.context import Context
from shared.database import Database
from shared.errors import Problem, UnsupportedMediaType
from shared.openapi import Responses, document_errors
from shared.schemas import example_of

LINES = ("application/x-ndjson", "application/jsonl")
MAX_IMPORT = 1024 * 1024 * 1024  # Bytes; the gateway has the same limit.
CHUNK = 200  # Lines that are sent at once.
EVERY = 1.0  # Seconds between two lines about the progress.
PATIENCE = 5.0  # Seconds for which the rest of a refused file is read.

_ROW = {"type": "object", "description": "A product on each line.", "examples": [example_of(ImportRow)]}
_PROGRESS = {
    "type": "object",
    "description": "A line about the progress each second, and one when it is done.",
    "properties": {
        "status": {"enum": ["running", "done", "failed"]},
        "rows": {"type": "integer"},
        "applied": {"type": "integer"},
        "added": {"type": "integer"},
        "changed": {"type": "integer"},
    },
    "examples": [{"status": "done", "rows": 2, "applied": 2, "added": 1, "changed": 1}],
}
_EXPORTED: Responses = {
    200: {"description": "All that is for sale.", "content": {LINES[0]: {"schema": _ROW}}}
}
_LOADED: Responses = {
    200: {"description": "All was loaded.", "content": {LINES[0]: {"schema": _PROGRESS}}},
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
    """Return the routes of whoever brings a whole catalogue in or takes it out."""
    routes = APIBlueprint("imports", __name__)

    @routes.get("/products/export")
    @routes.doc(responses=_EXPORTED)
    def export() -> Response:
        """Export all that is for sale as JSON Lines, by id and of one moment; an import takes it back."""
        lines = _write_lines(export_products(database), currency)
        # If the database is away it still can be said so.
        return _stream(chain([next(lines, b"")], lines))

    @routes.post("/products/import")
    @routes.doc(
        responses=_LOADED,
        extensions={
            "requestBody": {
                "content": {kind: {"schema": ImportRow.model_json_schema()} for kind in LINES},
            }
        },
    )
    @reads_body
    def load() -> Response:
        """Add and change products from JSON Lines, a product on each: all of them, or none.

        A line is the product with its `id`, else the one with its `sku`, else a new one, and sets what is in
        it. 422 `import_refused` names the first 100 rows that are not right, by their number. While it loads,
        a line each second says how far it is; the last one has the status `done`, or nothing was loaded.
        """
        if request.mimetype not in LINES or request.content_encoding not in {None, "identity"}:
            raise UnsupportedMediaType
        request.max_content_length = MAX_IMPORT
        body: IO[bytes] = request.stream  # Refuses what is too large.
        if request.content_length is not None:
            # The server ends a body that broke off like one that is whole.
            body = cast(IO[bytes], LimitedStream(body, request.content_length))
        steps = import_products(database, body, currency)
        # The first step comes when all rows have been found right; whatever is not is refused here.
        next(steps)
        return _stream(_write_progress(steps))

    @routes.after_request
    def leave_politely(answer: Response) -> Response:
        """Let whoever is still sending hear a refusal before the connection closes."""
        if answer.status_code >= 400:
            answer.call_on_close(partial(_take_rest, request.environ["wsgi.input"]))
        return answer

    return routes


def _take_rest(body: IO[bytes]) -> None:
    # The answer is out, and the gateway ends the connection when it has read it. A socket that is closed with
    # something unread in it would lose the answer.
    end = time.monotonic() + PATIENCE
    with suppress(Exception):
        while time.monotonic() < end and body.read(65536):
            pass


def _stream(lines: Iterator[bytes]) -> Response:
    answer = Response(_in_context(context.current(), lines), content_type=LINES[0])
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _in_context(work: Context | None, lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines in the context of the request, which is over for the application when it has answered."""
    context.enter(work or Context())
    try:
        yield from lines
    finally:
        context.leave()


def _write_lines(products: Generator[Product], currency: str) -> Iterator[bytes]:
    with closing(products):
        while some := list(islice(products, CHUNK)):
            yield b"".join(_to_json(to_line(product, currency)) for product in some)


def _write_progress(steps: Generator[Progress]) -> Iterator[bytes]:
    """Yield a line each second and one at the end, so that a short import has one line.

    If nobody listens any more the generator is closed, and with it the transaction: nothing was loaded.
    """
    said = time.monotonic()
    with closing(steps):
        try:
            for step in steps:
                if step.is_done or time.monotonic() - said >= EVERY:
                    said = time.monotonic()
                    yield _to_json({"status": "done" if step.is_done else "running", **_numbers(step)})
        except Problem as problem:
            yield _to_json({"status": "failed", "code": problem.code, "detail": problem.detail})


def _numbers(step: Progress) -> dict[str, int]:
    return {name: value for name, value in vars(step).items() if name != "is_done"}


def _to_json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
