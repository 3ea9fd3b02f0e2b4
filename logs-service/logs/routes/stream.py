"""Stream log records as they arrive, as server-sent events (HTML Standard, section 9.2)."""

import json
import re
import time
from collections.abc import Callable, Iterator
from threading import BoundedSemaphore, Event
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request

from logs.domain.search import Arrival, Search
from logs.errors import StreamsTaken
from logs.schemas import Filters, LogRecordOut
from logs.use_cases.log_records import find_arrivals, read_current_arrival
from shared.context import require_caller
from shared.database import Database
from shared.errors import Problem, ValidationFailed
from shared.openapi import Responses, document_errors
from shared.schemas import example_of

MOST_STREAMS = 4  # Per process; each occupies one of its 16 threads.
POLL_EVERY = 0.5  # Seconds between two queries for new records.
HEARTBEAT = 5.0  # Seconds after which an idle stream sends a keep-alive and checks the token again.
EVENT_ID = re.compile(r"(\d{1,19})-([0-9a-f]{32})")

# One event of the stream; OpenAPI 3.1 cannot describe a sequence of them.
EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": ["record", "end"]},
        "data": {"type": "string"},
    },
    "examples": [
        {
            "id": "1042-018f5c4162d07b709d69c4012ca67e09",
            "event": "record",
            "data": json.dumps(example_of(LogRecordOut)),
        }
    ],
}
RESPONSES: Responses = {
    200: {"description": "Events", "content": {"text/event-stream": {"schema": EVENT}}},
    **document_errors(StreamsTaken),
}

CheckToken = Callable[[str], object]


def stream_routes(database: Database, check_token: CheckToken, stopping: Event) -> APIBlueprint:
    """Return the route that streams log records; `check_token` raises a Problem once a token is invalid."""
    routes = APIBlueprint("stream", __name__)
    turns = BoundedSemaphore(MOST_STREAMS)

    @routes.get("/logs/stream")
    @routes.input(Filters, location="query")
    @routes.doc(responses=RESPONSES)
    def follow_records(query_data: Filters) -> Response:
        """Follow log records in the order in which they arrive.

        An event `record` has an id and a record as its data. A client that reconnects with the last id as
        `Last-Event-ID` misses no record and gets none twice. An event `end` has the reason for the end.
        """
        after = _read_event_id(request.headers.get("Last-Event-ID"))
        token = require_caller().token
        if not turns.acquire(blocking=False):
            raise StreamsTaken
        response = Response(
            follow(database, query_data.to_search(), after, lambda: check_token(token), stopping),
            content_type="text/event-stream",
            # Otherwise the gateway would buffer the events.
            headers={"X-Accel-Buffering": "no"},
        )
        response.call_on_close(turns.release)
        return response

    return routes


def follow(
    database: Database, search: Search, after: Arrival | None, check: Callable[[], object], stopping: Event
) -> Iterator[str]:
    """Yield events until `stopping` is set, or `check` raises a Problem, whose code is the last event."""
    checked_at = time.monotonic()
    try:
        after = after or read_current_arrival(database)
        # A client that loses the stream before its first record resumes from here.
        yield f"id: {_write_event_id(after)}\nretry: 1000\n\n"
        while not stopping.is_set():
            arrivals, after = find_arrivals(database, search, after)
            for arrival, record in arrivals:
                data = LogRecordOut.of(record).model_dump_json()
                yield f"id: {_write_event_id(arrival)}\nevent: record\ndata: {data}\n\n"
            if time.monotonic() - checked_at > HEARTBEAT:
                check()
                checked_at = time.monotonic()
                # A browser stores an id without data, but dispatches no event.
                yield f"id: {_write_event_id(after)}\n\n"
            if not arrivals:
                stopping.wait(POLL_EVERY)
        yield _end("stopping", "This replica is shutting down. Connect again.")
    except Problem as problem:
        yield _end(problem.code, problem.detail)


def _end(code: str, detail: str) -> str:
    data = json.dumps({"code": code, "detail": detail}, separators=(",", ":"))
    return f"event: end\ndata: {data}\n\n"


def _write_event_id(arrival: Arrival) -> str:
    return f"{arrival.transaction}-{arrival.id.hex}"


def _read_event_id(text: str | None) -> Arrival | None:
    if not text:
        return None
    found = EVENT_ID.fullmatch(text)
    if found is None or int(found[1]) >= 2**63:
        detail = "This is not an event id of this stream."
        raise ValidationFailed(errors=[{"location": "headers", "field": "Last-Event-ID", "detail": detail}])
    return Arrival(int(found[1]), UUID(found[2]))
