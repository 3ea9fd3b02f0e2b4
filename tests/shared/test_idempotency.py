"""Idempotency keys are hashed, and a stored response is repeated byte for byte."""

import hashlib

import pytest
from apiflask import APIBlueprint

from shared.access import SIGNED_IN
from shared.app import mount
from shared.idempotency import Answer, read_call, to_response

BODY = b'{"size":  3}\n'


@pytest.fixture
def calls(app) -> list:
    """The calls to a route that requires a key; it marks the second and later responses as replayed."""
    seen: list = []
    routes = APIBlueprint("keyed", __name__)

    @routes.post("/keyed")
    def make():
        seen.append(read_call("POST /keyed"))
        return to_response(Answer(409, "text/odd", b"\x00\xff"), is_replayed=len(seen) > 1)

    mount(app, routes, access=SIGNED_IN)
    return seen


@pytest.fixture
def send(client, auth):
    """Send a call with a key as the user ada."""
    bearer = auth.bearer(sub="ada")

    def send(key: str | None):
        return client.post(
            "/keyed", headers=bearer | ({} if key is None else {"Idempotency-Key": key}), data=BODY
        )

    return send


@pytest.mark.parametrize("key", ["k", "x" * 255, "4242424242424242", "Schlüssel"])
def test_a_key_and_a_body_are_hashed(calls, send, key):
    assert send(key).status_code == 409
    [call] = calls
    assert (call.principal, call.route) == ("ada", "POST /keyed")
    assert call.key == hashlib.sha256(key.encode()).hexdigest()
    assert call.fingerprint == hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("key", [None, "", "x" * 256])
def test_a_call_without_a_key_of_valid_length_is_refused(calls, send, key):
    answer = send(key)
    assert (answer.status_code, answer.json["code"]) == (400, "idempotency_key_missing")
    assert "1 to 255 characters" in answer.json["detail"]
    assert calls == []


@pytest.mark.usefixtures("calls")
def test_a_stored_answer_is_sent_unchanged_and_marked_when_it_is_replayed(send):
    first, second = send("k"), send("k")
    assert first.data == second.data == b"\x00\xff"
    assert first.content_type == second.content_type == "text/odd"
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
