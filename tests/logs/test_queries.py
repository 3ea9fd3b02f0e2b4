"""Every route that reads records answers any query with records or with an error for the parameter."""

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from logs.routes import stream
from shared.pages import encode_cursor
from tests.logs.conftest import Sender, make_record

ID = "018f0000-0000-7000-8000-000000000001"

# Percent-encoded, as a client sends them.
VALUES = [
    "",
    "%20%09",
    "a" * 5000,
    "9" * 30,
    "9" * 4999,
    "%ED%A0%80",  # A lone surrogate.
    "a%FF%C3",  # Invalid UTF-8.
    "a%00b",
    "a%0D%0Ab",
    "%25%27%22%5C",
    "a%5C%20%26%20%21%3A%2A",
    quote("\N{GRINNING FACE}" * 50),
    quote("\N{VULGAR FRACTION ONE HALF}"),
    quote("\N{FULLWIDTH DIGIT ONE}\N{FULLWIDTH DIGIT ZERO}"),
    quote("\N{FULLWIDTH DIGIT TWO}026-01-01T00:00:00Z"),
    quote("\N{FULLWIDTH DIGIT ONE}") * 32,
    quote('{"a": [1]}'),
    "0",
    "-1",
    "1.5",
    "1e400",
    "NaN",
    "true",
    ID,
    f"urn:uuid:{ID}",
    "0" * 32,
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00%2B23:59",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
    "0000-01-01T00:00:00Z",
    "12026-01-01T00:00:00Z",
    "2026-06-30T23:59:60Z",
    f"2026-01-01T00:00:00.{'9' * 400}Z",
    "2026-01-01T00:00:00%2B99:99",
    "a&{name}=b",  # The parameter twice.
]
# Cursors of other lists, and forged ones.
CURSORS = [
    encode_cursor(position)
    for position in [
        None,
        5,
        ID,
        {},
        [],
        [[], {}],
        [1e308, ID],
        [2**70, ID],
        ["name", 5],
        ["2026-01-01", ID],
        ["\N{FULLWIDTH DIGIT TWO}026-01-01T00:00:00Z", ID],
        ["0001-01-01T00:00:00Z", ID],
        ["0001-01-01T00:00:00+23:59", ID],
        ["9999-12-31T23:59:59.999999Z", ID],
        ["9999-12-31T23:59:59-23:59", ID],
        ["2026-01-01T00:00:00Z", "\0"],
        ["2026-01-01T00:00:00Z", 5],
        ["2026-01-01T00:00:00Z", ID, ID],
    ]
] + [
    base64.urlsafe_b64encode(text).decode()
    for text in (rb'["\ud83d", "a"]', b'["\xff", "a"]', b"[" * 300, b"9" * 360, b"[NaN, Infinity]", b"")
]


# Other parameters that change the database query.
OTHERS = {
    ("/logs", "cursor"): ["&q=a"],
    ("/logs/histogram", "since"): ["&q=a", "&level=ERROR", "&service=a&bars=1"],
    ("/logs/histogram", "until"): ["&q=a", "&level=ERROR", "&service=a&bars=1"],
}


def list_parameters(sender: Sender) -> Iterator[tuple[str, str]]:
    """Yield the path and the name of each query parameter in the OpenAPI document."""
    for path, operations in sender.client.get("/openapi.json").json["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", []):
            if parameter["in"] == "query":
                yield path, parameter["name"]


def ask(sender: Sender, path: str) -> tuple[int, list[str]]:
    """Return a response's status and the rejected fields; for a stream, also read its first events."""
    answer: Any = sender.client.get(path, headers=sender.admin)
    fields = [] if answer.status_code == 200 else [error["field"] for error in answer.json.get("errors", [])]
    if answer.mimetype == "text/event-stream":
        events = answer.iter_encoded()
        assert not any(b"event: end" in next(events) for _ in range(2)), path
    answer.close()
    return answer.status_code, fields


def test_no_query_parameter_causes_an_internal_error(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT", 0)  # A stream sends a keep-alive after each poll.
    sender.export(make_record("a record"))
    [record] = sender.find()
    parameters = list(list_parameters(sender))
    assert {path for path, _name in parameters} == {
        "/logs",
        "/logs/histogram",
        "/logs/stream",
        "/logs/{record_id}/context",
    }
    wrong = []
    for path, name in parameters:
        for others in ["", *OTHERS.get((path, name), [])]:
            for value in VALUES + (CURSORS if name == "cursor" else []):
                query = f"{name}={value.replace('{name}', name)}{others}"
                status, fields = ask(sender, f"{path.replace('{record_id}', record['id'])}?{query}")
                if status != 200 and (status != 422 or name not in fields):
                    wrong.append((path, query[:80], status, fields))
    assert wrong == []
