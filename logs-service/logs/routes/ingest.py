"""Receive log records over OTLP/HTTP."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import BoundedSemaphore
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from logs import otlp
from logs.domain.retention import Retention
from logs.errors import ExportTooLarge, IngestBusy, MalformedExport
from logs.use_cases.log_records import store_log_records
from shared.app import reads_body
from shared.context import require_caller
from shared.database import Database
from shared.errors import Forbidden, Problem, TokenMissing, UnsupportedMediaType, title_of
from shared.openapi import Responses

log = logging.getLogger(__name__)

# Exports that one process reads concurrently, so that searches get their turn. It reads only one large export
# at a time, which may take 80 MiB of memory. The shop's own exports are at most half of the limit for small
# ones.
MOST_AT_ONCE = 2
SMALL = 1024 * 1024  # Bytes, decompressed.
PATIENCE = 2.0  # Seconds that a request waits for its turn.

_STATUS = {
    "type": "object",
    "description": "google.rpc.Status",
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
}
_ANSWER = {
    "type": "object",
    "description": (
        "ExportLogsServiceResponse. `rejectedLogRecords` is the number of records that were not stored, and"
        " `errorMessage` is the reason for the first of them."
    ),
    "properties": {
        "partialSuccess": {
            "type": "object",
            "properties": {"rejectedLogRecords": {"type": "string"}, "errorMessage": {"type": "string"}},
        }
    },
    "examples": [{}, {"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": "it is too large"}}],
}
_EXPORT = {
    "type": "object",
    "description": "ExportLogsServiceRequest (opentelemetry-proto)",
    "properties": {"resourceLogs": {"type": "array", "items": {"type": "object"}}},
    "examples": [
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "till"}}]},
                    "scopeLogs": [
                        {
                            "logRecords": [
                                {
                                    "timeUnixNano": "1772359200000000000",
                                    "severityNumber": 9,
                                    "severityText": "INFO",
                                    "body": {"stringValue": "The drawer was opened"},
                                }
                            ]
                        }
                    ],
                }
            ]
        }
    ],
}


def _in_both(schema: dict[str, Any]) -> dict[str, Any]:
    return {otlp.JSON: {"schema": schema}, otlp.PROTOBUF: {"schema": {"contentMediaType": otlp.PROTOBUF}}}


def _show_status(error: type[Problem]) -> dict[str, Any]:
    return {**_STATUS, "examples": [json.loads(otlp.encode_status(otlp.JSON, error.status, error.detail))]}


_RESPONSES: Responses = {
    200: {
        "description": "The accepted records are stored; `partialSuccess` counts the others.",
        "content": _in_both(_ANSWER),
    },
    **{
        error.status: {"description": title_of(error.status), "content": _in_both(_show_status(error))}
        for error in (
            MalformedExport,
            TokenMissing,
            Forbidden,
            ExportTooLarge,
            UnsupportedMediaType,
            IngestBusy,
        )
    },
}


def ingest_routes(database: Database, retention: Retention) -> APIBlueprint:
    """Return the route that receives log records."""
    routes = APIBlueprint("ingest", __name__)
    turns, turn_of_large = BoundedSemaphore(MOST_AT_ONCE), BoundedSemaphore(1)

    @routes.post("/v1/logs")
    @routes.doc(
        responses=_RESPONSES,
        extensions={"requestBody": {"required": True, "content": _in_both(_EXPORT)}},
    )
    @reads_body
    def export_logs() -> Response:
        """Store log records (OTLP/HTTP 1.9), in JSON or protobuf, optionally compressed with gzip.

        The records are committed when the response arrives. Retry after 429 and 503; other errors are final.

        An invalid record does not affect the others. Invalid UTF-8 and lone surrogates become U+FFFD. A value
        of the wrong type is converted if possible, such as a string of digits to a number, and otherwise kept
        as sent. An invalid time counts as absent. A level is a number, the name of the enum's value or,
        without either, a common name in `severityText`; the default is INFO.

        A record is rejected, and counted in `partialSuccess`, if its values are nested more than 30 levels
        deep, if it is larger than 128 KiB, older than the retention period or more than a day in the future,
        if its `service.name` is that of a service of the shop that did not send it, or if it, its resource or
        its scope is unreadable.

        The response is 400 only if the whole body is not JSON or not protobuf. It is 413 beyond 8 MiB,
        compressed or decompressed, beyond 10 000 records, and beyond 300 000 attributes and list items (in
        JSON beyond 100 000 members and items). The attributes of a resource count for each of its records.

        Records from a third-party client carry its client id as `client.id`.

        A retry of the same body stores no record twice. Records with the same `log.record.uid` are stored
        once. Equal records without it are stored as often as one export contains them.
        """
        request.max_content_length = otlp.LARGEST
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        with _take(turns):
            decompressed = otlp.decompress(request.get_data(cache=False), encoding)
            with _take(turn_of_large) if len(decompressed) > SMALL else nullcontext():
                sent = otlp.decode_export(decompressed, request.mimetype)
                rejected, message = store_log_records(
                    database, sent, writer=require_caller().client_id, retention=retention
                )
        answer = otlp.encode_answer(request.mimetype, rejected, message)
        return Response(answer, content_type=request.mimetype)

    @routes.errorhandler(Problem)
    def answer_problem(problem: Problem) -> Response:
        if problem.status >= 500:
            log.warning("Rejected an export: %s: %r", problem.code, problem.__cause__)
        return _answer_status(problem.status, problem.detail, dict(problem.headers))

    @routes.errorhandler(400)
    def answer_incomplete(_error: Exception) -> Response:
        return _answer_status(400, "The body is incomplete.", {})

    @routes.errorhandler(413)
    def answer_too_large(_error: Exception) -> Response:
        return _answer_status(413, ExportTooLarge.detail, {})

    return routes


@contextmanager
def _take(turns: BoundedSemaphore) -> Iterator[None]:
    if not turns.acquire(timeout=PATIENCE):
        raise IngestBusy
    try:
        yield
    finally:
        turns.release()


def _answer_status(status: int, message: str, headers: dict[str, str]) -> Response:
    """Answer in the encoding of the request, or in JSON if that is unsupported."""
    media_type = otlp.PROTOBUF if request.mimetype == otlp.PROTOBUF else otlp.JSON
    body = otlp.encode_status(media_type, status, message)
    return Response(body, status=status, headers=headers, content_type=media_type)
