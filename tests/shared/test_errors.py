"""All errors have the same format (RFC 9457)."""

import json

from shared.database import connect
from shared.settings import ServiceSettings

MEMBERS = {"type", "title", "status", "detail", "code", "error", "request_id"}


def check(answer, status, code):
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    body = json.loads(answer.data)
    assert body.keys() >= MEMBERS
    assert body["status"] == status
    assert body["code"] == code
    assert body["error"] == body["detail"]
    assert body["request_id"] == answer.headers["X-Request-ID"]
    return body


def test_an_error_has_its_own_status_code_detail_headers_and_members(client):
    answer = client.get("/teapot")
    body = check(answer, 418, "teapot")
    assert body["title"] == "I'm a Teapot"
    assert body["lid"] == "shut"
    assert answer.headers["X-Spout"] == "short"


def test_an_unexpected_error_is_500_without_details(client):
    answer = client.get("/bug")
    check(answer, 500, "internal_error")
    assert b"secret" not in answer.data


def test_an_unknown_path_is_404(client):
    check(client.get("/nowhere"), 404, "not_found")


def test_a_405_lists_the_allowed_methods(client):
    answer = client.delete("/things")
    check(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


def test_a_body_that_is_not_declared_as_json_is_415(client):
    check(client.post("/things", data={"size": 1}), 415, "unsupported_media_type")
    check(client.post("/things", data=b'{"size": 1}'), 415, "unsupported_media_type")


def test_a_body_that_is_not_json_is_400(client):
    check(client.post("/things", data=b"{", content_type="application/json"), 400, "malformed_body")
    check(client.post("/things", data=b"", content_type="application/json"), 400, "malformed_body")
    check(client.post("/things", data=b"\xff\xfe", content_type="application/json"), 400, "malformed_body")
    half = b'{"name": "\\ud83d", "count": 1}'
    check(client.post("/things", data=half, content_type="application/json"), 400, "malformed_body")


def test_an_invalid_field_is_422_with_an_entry(client):
    body = check(client.post("/things", json={"size": "big-secret"}), 422, "validation_failed")
    assert body["errors"][0]["field"] == "size"
    assert "big-secret" not in json.dumps(body)
    check(client.post("/things", json=[1]), 422, "validation_failed")


def test_a_body_that_is_too_large_is_413(app):
    app.config["MAX_CONTENT_LENGTH"] = 20
    check(app.test_client().post("/things", json={"size": 10**30}), 413, "content_too_large")


def test_an_unavailable_database_is_503_with_retry_after(app, client):
    @app.before_request
    def use_database():
        away = ServiceSettings(service="auth-service", database_url="postgresql://auth@127.0.0.1:9/auth")
        with connect(away).transaction():
            pass

    answer = client.get("/open")
    check(answer, 503, "database_unavailable")
    assert answer.headers["Retry-After"] == "1"
