"""The signed-off list is asked for every two seconds, and outlives auth's absence."""

import hashlib
import json

import pytest

from shared import sign_offs
from shared.errors import SignOffsUnavailable
from shared.service_calls import ServiceTokens
from shared.sign_offs import MAX_AGE, STALE_AFTER, SignOffsClient
from tests.conftest import FakeServer


class FakeList:
    """auth-service with a list of signed-off ids."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.ids: list[str] = []
        self.status = 200
        self.body: bytes | None = None
        self.sends_etags = True
        server.answer = self._answer

    @property
    def asked(self) -> list[dict[str, str]]:
        """Return the headers of each question for the list."""
        return [headers for _, path, headers, _ in self.server.requests if path == "/internal/signed-off"]

    def _answer(self, handler, _body) -> None:
        if handler.path == "/auth/token":
            return self._send(handler, 200, json.dumps({"access_token": "own", "expires_in": 900}).encode())
        body = self.body if self.body is not None else json.dumps({"ids": self.ids}).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()}"' if self.sends_etags else None
        if self.status == 200 and etag and handler.headers.get("If-None-Match") == etag:
            return self._send(handler, 304, b"", etag)
        return self._send(handler, self.status, body, etag)

    def _send(self, handler, status: int, body: bytes, etag: str | None = None) -> None:
        handler.send_response(status)
        if etag:
            handler.send_header("ETag", etag)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def listed(fake_server) -> FakeList:
    return FakeList(fake_server)


@pytest.fixture
def client(listed) -> SignOffsClient:
    url = listed.server.url
    return SignOffsClient(url, ServiceTokens(url, "orders-service", "a secret"))


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    fake = Clock()
    monkeypatch.setattr(sign_offs, "time", fake)
    return fake


def test_what_is_listed_is_signed_off_and_nothing_else(client, listed):
    listed.ids = ["a", "b"]
    client.refresh()
    assert client.has_any(["x", "b"])
    assert not client.has_any(["x", "y"])
    assert not client.has_any([])


def test_it_is_asked_for_as_the_service(client, listed):
    client.refresh()
    assert [headers["X-Service-Authorization"] for headers in listed.asked] == ["Bearer own"]


def test_an_unchanged_list_is_not_sent_again(client, listed):
    listed.ids = ["a"]
    client.refresh()
    listed.server.requests.clear()
    client.refresh()
    assert "If-None-Match" in listed.asked[0]
    assert client.has_any(["a"])


def test_a_changed_list_takes_the_place_of_the_old_one(client, listed):
    listed.ids = ["a"]
    client.refresh()
    listed.ids = ["b"]
    client.refresh()
    assert client.has_any(["b"])
    assert not client.has_any(["a"])


def test_a_list_without_an_etag_is_sent_whole_each_time(client, listed):
    listed.sends_etags = False
    client.refresh()
    client.refresh()
    assert all("If-None-Match" not in headers for headers in listed.asked)
    assert not client.has_any(["a"])


def test_with_no_list_yet_nobody_can_tell(client, listed):
    with pytest.raises(SignOffsUnavailable):
        client.has_any(["a"])
    listed.status = 503
    client.refresh()
    with pytest.raises(SignOffsUnavailable):
        client.check()


def test_the_first_check_fetches_it_so_that_a_start_does_not_wait_for_the_next_round(client, listed):
    assert client.check() is None
    client.check()
    assert len(listed.asked) == 1


@pytest.mark.parametrize(
    "body", [b"not json", b"[]", b"{}", b'{"ids": "a"}', b'{"ids": [1]}', b'{"ids": null}', b"\xff"]
)
def test_a_list_that_is_none_leaves_the_old_one_in_place(client, listed, body):
    listed.ids = ["a"]
    client.refresh()
    listed.body = body
    client.refresh()
    assert client.has_any(["a"])


@pytest.mark.parametrize("status", [304, 401, 403, 404, 500, 503])
def test_an_answer_that_is_no_list_is_none(client, listed, status):
    listed.status = status
    client.refresh()
    with pytest.raises(SignOffsUnavailable):
        client.has_any(["a"])


def test_the_last_good_copy_serves_for_a_quarter_of_an_hour_and_its_age_is_told(client, listed, clock):
    listed.ids = ["a"]
    client.refresh()
    assert client.check() is None
    listed.status = 503
    clock.now += STALE_AFTER + 1
    client.refresh()
    assert client.check() == "Auth does not answer; its signed-off list is 7 s old."
    assert client.has_any(["a"])
    clock.now += MAX_AGE - STALE_AFTER - 2
    assert client.has_any(["a"])
    clock.now += 2
    with pytest.raises(SignOffsUnavailable):
        client.has_any(["a"])
    with pytest.raises(SignOffsUnavailable):
        client.check()


def test_an_unchanged_list_is_as_fresh_as_a_new_one(client, listed, clock):
    client.refresh()
    clock.now += MAX_AGE - 1
    client.refresh()
    clock.now += MAX_AGE - 1
    assert not client.has_any(["a"])


def test_once_auth_is_back_so_is_the_list(client, listed, clock):
    client.refresh()
    listed.status = 503
    clock.now += MAX_AGE + 1
    client.refresh()
    listed.status, listed.ids = 200, ["a"]
    client.refresh()
    assert client.has_any(["a"])
    assert client.check() is None


def test_that_it_fails_and_works_again_is_said_once_each(client, listed, caplog):
    caplog.set_level("INFO", "shared.sign_offs")
    listed.status = 503
    for _ in range(3):
        client.refresh()
    listed.status = 200
    for _ in range(3):
        client.refresh()
    assert caplog.messages == [
        "The signed-off list could not be fetched: it answered 503",
        "The signed-off list is fetched again",
    ]
