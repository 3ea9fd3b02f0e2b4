"""A call's key is read whole, kept as a hash, and what it was answered goes out again byte for byte."""

import hashlib

import pytest
from apiflask import APIBlueprint

from shared.access import SIGNED_IN
from shared.app import mount
from shared.idempotency import Answer, read_call, to_response

BODY = b'{"size":  3}\n'


@pytest.fixture
def calls(app) -> list:
    """The calls that a route with a key was sent; it answers the second and later ones as repeated."""
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
    """Send a call with a key, as ada."""
    bearer = auth.bearer(sub="ada")

    def send(key: str | None):
        return client.post(
            "/keyed", headers=bearer | ({} if key is None else {"Idempotency-Key": key}), data=BODY
        )

    return send


@pytest.mark.parametrize("key", ["k", "x" * 255, "4242424242424242", "Schlüssel"])
def test_a_key_and_a_body_are_known_by_their_hashes(calls, send, key):
    assert send(key).status_code == 409
    [call] = calls
    assert (call.principal, call.route) == ("ada", "POST /keyed")
    assert call.key == hashlib.sha256(key.encode()).hexdigest()
    assert call.fingerprint == hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("key", [None, "", "x" * 256])
def test_without_a_key_or_with_one_that_is_too_long_nothing_is_done(calls, send, key):
    answer = send(key)
    assert (answer.status_code, answer.json["code"]) == (400, "idempotency_key_missing")
    assert "1 to 255 characters" in answer.json["detail"]
    assert calls == []


@pytest.mark.usefixtures("calls")
def test_an_answer_goes_out_as_it_was_kept_and_says_when_it_is_repeated(send):
    first, second = send("k"), send("k")
    assert first.data == second.data == b"\x00\xff"
    assert first.content_type == second.content_type == "text/odd"
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
