"""OTLP/HTTP: where records come in."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import BoundedSemaphore
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from logs import otlp
from logs.domain import Retention
from logs.errors import ExportTooLarge, IngestBusy, MalformedExport
from logs.use_cases.records import store_records
from shared.app import reads_body
from shared.context import require_caller
from shared.database import Database
from shared.errors import Forbidden, Problem, TokenMissing, UnsupportedMediaType, title_of
from shared.openapi import Responses

log = logging.getLogger(__name__)

# Exports that one process reads at once, since searches want a turn too; of large ones, which may take 80 MiB
# of memory, it reads one. Those of our services are half as large as a small one may be.
MOST_AT_ONCE = 2
SMALL = 1024 * 1024  # Bytes, unpacked.
PATIENCE = 2.0  # Seconds that another one waits for its turn.

_STATUS = {
    "type": "object",
    "description": "google.rpc.Status",
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
}
_ANSWER = {
    "type": "object",
    "description": (
        "ExportLogsServiceResponse. `rejectedLogRecords` is how many records were not stored, and"
        " `errorMessage` says why the first of them was not."
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
        "description": "What was accepted is stored; `partialSuccess` tells what was not.",
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
    """Return the route by which records come in."""
    routes = APIBlueprint("ingest", __name__)
    turns, turn_of_large = BoundedSemaphore(MOST_AT_ONCE), BoundedSemaphore(1)

    @routes.post("/v1/logs")
    @routes.doc(
        responses=_RESPONSES,
        extensions={"requestBody": {"required": True, "content": _in_both(_EXPORT)}},
    )
    @reads_body
    def export_logs() -> Response:
        """Store log records (OTLP/HTTP 1.9), in JSON or protobuf, plain or as gzip.

        They are committed when the answer comes. 429 and 503 are worth a retry, other errors are final.

        One odd record never loses its neighbours. Bytes that are not UTF-8 and halves of surrogate pairs
        become U+FFFD. A value of another type than its kind is read as that kind if it can be, such as a
        number that is a text, and else kept as it is. A time that is none counts as absent. A level may be a
        number, the enum's name, or, without either, any usual name in `severityText`; without one of them it
        is INFO. A record that cannot be repaired is not stored and counts in `partialSuccess`: one whose
        values lie within more than 30 lists and objects, is larger than 128 KiB, is older than records are
        kept, is more than a day in the future, or has the `service.name` of a service of the shop that did
        not send it, also if only its resource or its scope is odd. The body as a whole is 400 only if it is
        not JSON, or not protobuf, at all. It is 413 beyond 8 MiB, as it came or decompressed, beyond 10 000
        records, and beyond 300 000 attributes and items of lists (in JSON beyond 100 000 members and items),
        where a resource's attributes count for each of its records.

        The records of a program that is no service of the shop carry its client id as `client.id`.

        A retry of the same body stores nothing twice. Records with the same `log.record.uid` are one; equal
        records without it are as many as one export has of them.
        """
        request.max_content_length = otlp.LARGEST
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        with _take(turns):
            plain = otlp.decompress(request.get_data(cache=False), encoding)
            with _take(turn_of_large) if len(plain) > SMALL else nullcontext():
                sent = otlp.decode_export(plain, request.mimetype)
                rejected, message = store_records(
                    database, sent, writer=require_caller().client_id, retention=retention
                )
        answer = otlp.encode_answer(request.mimetype, rejected, message)
        return Response(answer, content_type=request.mimetype)

    @routes.errorhandler(Problem)
    def answer_problem(problem: Problem) -> Response:
        if problem.status >= 500:
            log.warning("An export was turned away: %s: %r", problem.code, problem.__cause__)
        return _answer_status(problem.status, problem.detail, dict(problem.headers))

    @routes.errorhandler(400)
    def answer_broken_off(_error: Exception) -> Response:
        return _answer_status(400, "The body broke off.", {})

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
    """Answer in the request's encoding; in JSON if that is none of ours."""
    media_type = otlp.PROTOBUF if request.mimetype == otlp.PROTOBUF else otlp.JSON
    body = otlp.encode_status(media_type, status, message)
    return Response(body, status=status, headers=headers, content_type=media_type)
