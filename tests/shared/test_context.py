"""Request ids, traces, and access records."""

import io
import json
import logging

import pytest

from shared.log import JsonFormatter

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def test_the_callers_request_id_is_kept(client):
    answer = client.get("/open", headers={"X-Request-ID": "order-42.retry_1"})
    assert answer.headers["X-Request-ID"] == answer.json["request_id"] == "order-42.retry_1"


@pytest.mark.parametrize("request_id", ["", "two words", "x" * 129, "<script>", "ü"])
def test_an_unsafe_request_id_is_replaced(client, request_id):
    answer = client.get("/open", headers={"X-Request-ID": request_id})
    assert len(answer.json["request_id"]) == 32
    assert answer.headers["X-Request-ID"] == answer.json["request_id"]


def test_a_trace_is_continued_with_a_new_span(client):
    answer = client.get("/open", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    assert answer.json["trace_id"] == TRACE
    assert len(answer.json["span_id"]) == 16
    assert answer.json["span_id"] != PARENT


def test_a_later_version_of_the_header_is_accepted(client):
    answer = client.get("/open", headers={"traceparent": f"01-{TRACE}-{PARENT}-01-more"})
    assert answer.json["trace_id"] == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
    ],
)
def test_a_malformed_trace_is_replaced(client, traceparent):
    answer = client.get("/open", headers={"traceparent": traceparent})
    assert answer.json["trace_id"] not in {TRACE, "0" * 32}


@pytest.fixture
def written(app) -> io.StringIO:
    """The standard output of the service."""
    [handler] = [each for each in logging.getLogger().handlers if isinstance(each.formatter, JsonFormatter)]
    stream = io.StringIO()
    handler.setStream(stream)
    return stream


def read_records(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_request_has_one_json_record_with_its_ids_and_its_caller(written, client, auth):
    answer = client.get("/mine", headers={"X-Request-ID": "r-1", **auth.bearer(sub="me")})
    [record] = read_records(written)
    assert record["service"] == "orders-service"
    assert record["instance"] == "orders-1"
    assert record["message"] == "GET /mine 200"
    assert record["request_id"] == "r-1"
    assert record["trace_id"] == answer.json["trace_id"]
    attributes = record["attributes"]
    assert 0 < attributes.pop("duration_ms") < 20_000
    assert attributes == {
        "http.request.method": "GET",
        "http.route": "/mine",
        "http.response.status_code": 200,
        "http.request.body.size": 0,
        "http.response.body.size": len(answer.data),
        "user.id": "me",
        "user.role": "customer",
        "client.id": "shop",
    }


def test_a_record_has_the_route_and_the_sizes_but_not_the_contents(written, client):
    answer = client.post("/things?password=hunter2", json={"size": 5, "note": "a secret"})
    [record] = read_records(written)
    assert record["message"] == "POST /things 200"
    assert record["attributes"]["http.request.body.size"] == len(b'{"size": 5, "note": "a secret"}')
    assert record["attributes"]["http.response.body.size"] == len(answer.data)
    assert "user.id" not in record["attributes"]
    assert "secret" not in written.getvalue()
    assert "hunter2" not in written.getvalue()


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_refusals_are_recorded_too(written, client, method):
    assert client.open("/nowhere", method=method).status_code == 404
    [record] = read_records(written)
    assert record["attributes"]["http.route"] == "unrouted"
    assert record["attributes"]["http.response.status_code"] == 404


def test_health_and_metrics_requests_are_not_recorded(written, client):
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path).status_code == 200
    assert written.getvalue() == ""


def test_no_record_contains_the_token(written, client, auth):
    token = auth.token()
    client.get("/mine", headers={"Authorization": f"Bearer {token}"})
    client.get("/mine?token=" + token, headers={"Cookie": f"token={token}"})
    assert len(read_records(written)) == 2
    assert token not in written.getvalue()


def test_an_unexpected_error_is_recorded_with_its_traceback_on_one_line(written, client):
    client.get("/bug")
    first, _access = read_records(written)
    assert first["level"] == "ERROR"
    assert "RuntimeError: a secret detail" in first["attributes"]["exception"]
