"""The signed-off list is fetched every two seconds, and is used during an outage of auth."""

import hashlib
import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from shared import sign_offs
from shared.errors import SignOffsUnavailable
from shared.service_calls import ServiceTokens
from shared.sign_offs import MAX_AGE, REFRESH_EVERY, STALE_AFTER, WHOLE_EVERY, SignOffsClient
from tests.conftest import FakeServer


class FakeList:
    """auth-service of an older release, which always returns the whole list."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.ids: list[str] = []
        self.status = 200
        self.body: bytes | None = None
        self.sends_etags = True
        server.answer = self._answer

    @property
    def asked(self) -> list[dict[str, str]]:
        """Return the headers of each request for the list."""
        return [headers for _, path, headers, _ in self.server.requests if is_list(path)]

    @property
    def since(self) -> list[str | None]:
        """Return the `since` of each request; None is a request for the whole list."""
        paths = [path for _, path, _, _ in self.server.requests if is_list(path)]
        return [parse_qs(urlsplit(path).query).get("since", [None])[0] for path in paths]

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


class FakeChanges(FakeList):
    """auth-service of this release, which also returns the changes since a moment, here a number."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__(server)
        self.new: list[str] = []
        self.answers: list[bytes] = []
        self.tells_changes = True

    def _answer(self, handler, body) -> None:
        if handler.path == "/auth/token" or self.status != 200 or not self.tells_changes:
            return super()._answer(handler, body)
        asked = parse_qs(urlsplit(handler.path).query)
        document = {"ids": self.new, "since": asked["since"][0]} if asked else {"ids": self.ids}
        self.answers.append(json.dumps({**document, "as_of": f"moment {len(self.answers)} +00:00"}).encode())
        etag = f'"{hashlib.sha256(json.dumps(self.ids).encode()).hexdigest()}"'
        if not asked and handler.headers.get("If-None-Match") == etag:
            return self._send(handler, 304, b"", etag)
        return self._send(handler, 200, self.answers[-1], None if asked else etag)


def is_list(path: str) -> bool:
    return urlsplit(path).path == "/internal/signed-off"


@pytest.fixture
def listed(fake_server) -> FakeList:
    return FakeList(fake_server)


@pytest.fixture
def changes(fake_server) -> FakeChanges:
    return FakeChanges(fake_server)


@pytest.fixture
def changes_client(changes) -> SignOffsClient:
    return make_client(changes)


def make_client(listed: FakeList) -> SignOffsClient:
    url = listed.server.url
    return SignOffsClient(url, ServiceTokens(url, "orders-service", "a secret"))


@pytest.fixture
def client(listed) -> SignOffsClient:
    return make_client(listed)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    fake = Clock()
    monkeypatch.setattr(sign_offs, "time", fake)
    return fake


def test_only_listed_ids_are_signed_off(client, listed):
    listed.ids = ["a", "b"]
    client.refresh()
    assert client.has_any(["x", "b"])
    assert not client.has_any(["x", "y"])
    assert not client.has_any([])


def test_the_list_is_fetched_with_the_service_token(client, listed):
    client.refresh()
    assert [headers["X-Service-Authorization"] for headers in listed.asked] == ["Bearer own"]


def test_an_unchanged_list_is_not_sent_again(client, listed):
    listed.ids = ["a"]
    client.refresh()
    listed.server.requests.clear()
    client.refresh()
    assert "If-None-Match" in listed.asked[0]
    assert client.has_any(["a"])


def test_a_changed_list_replaces_the_old_one(client, listed):
    listed.ids = ["a"]
    client.refresh()
    listed.ids = ["b"]
    client.refresh()
    assert client.has_any(["b"])
    assert not client.has_any(["a"])


def test_a_list_without_an_etag_is_fetched_whole_each_time(client, listed):
    listed.sends_etags = False
    client.refresh()
    client.refresh()
    assert all("If-None-Match" not in headers for headers in listed.asked)
    assert not client.has_any(["a"])


def test_after_the_first_list_only_changes_are_fetched(changes, changes_client):
    changes.ids = ["a"]
    changes_client.refresh()
    for new in (["b"], [], ["b", "c"], ["c"]):
        changes.new = new
        changes_client.refresh()
    assert changes.since == [None, *(f"moment {number} +00:00" for number in range(4))]
    assert all(changes_client.has_any([each]) for each in "abc")
    assert not changes_client.has_any(["d"])


def test_the_whole_list_is_fetched_each_minute_and_expired_entries_are_dropped(
    changes, changes_client, clock
):
    changes.ids, changes.new = ["a", "b"], ["b"]
    changes_client.refresh()
    rounds = int(WHOLE_EVERY / REFRESH_EVERY)
    changes.ids = ["b"]
    for _ in range(rounds):
        assert changes_client.has_any(["a"])
        clock.now += REFRESH_EVERY
        changes_client.refresh()
    assert [number for number, since in enumerate(changes.since) if since is None] == [0, rounds]
    assert changes_client.has_any(["b"])
    assert not changes_client.has_any(["a"])


def test_an_unchanged_whole_list_is_not_sent_again_and_its_changes_are_kept(changes, changes_client, clock):
    changes.ids, changes.new = ["a"], ["b"]
    changes_client.refresh()
    changes_client.refresh()
    clock.now += WHOLE_EVERY
    changes_client.refresh()
    changes_client.refresh()
    assert "If-None-Match" in changes.asked[2]
    assert changes.since == [None, "moment 0 +00:00", None, "moment 1 +00:00"]
    assert changes_client.has_any(["b"])


def test_a_replica_of_an_older_release_returns_its_whole_list_instead_of_changes(changes, changes_client):
    changes.ids = ["a", "b"]
    changes_client.refresh()
    changes.tells_changes, changes.ids = False, ["b", "c"]
    changes_client.refresh()
    assert not changes_client.has_any(["a"])
    assert changes_client.has_any(["c"])
    changes_client.refresh()
    changes.tells_changes = True
    changes_client.refresh()
    changes_client.refresh()
    assert [since is None for since in changes.since] == [True, False, True, True, False]


def test_changes_are_fetched_from_the_same_moment_again_after_a_failure(changes, changes_client):
    changes_client.refresh()
    changes.status = 503
    changes_client.refresh()
    changes.status, changes.new = 200, ["a"]
    changes_client.refresh()
    assert changes.since == [None, "moment 0 +00:00", "moment 0 +00:00"]
    assert changes_client.has_any(["a"])


def test_a_refresh_stays_cheap_with_very_many_sign_offs(changes, monkeypatch):
    # A busy machine may need longer for the whole list than a service waits.
    monkeypatch.setattr(sign_offs, "TIMEOUT", (60.0, 60.0))
    changes_client = make_client(changes)
    changes.ids = [f"{number:036}" for number in range(96_000)]
    # The first refresh fetches the whole list, later ones only changes.
    spent, read = [], []
    for _ in range(4):
        begun = time.thread_time()
        changes_client.refresh()
        spent.append(time.thread_time() - begun)
        read.append(len(changes.answers[-1]))
        changes.new = [f"{number:036}" for number in range(20)]
    assert read[0] > 3_000_000
    assert max(read[1:]) < 2000
    assert min(spent[1:]) < spent[0] / 5


def test_without_a_list_sign_offs_are_unavailable(client, listed):
    with pytest.raises(SignOffsUnavailable):
        client.has_any(["a"])
    listed.status = 503
    client.refresh()
    with pytest.raises(SignOffsUnavailable):
        client.check()


def test_the_first_check_fetches_the_list_so_that_a_start_does_not_wait_for_a_refresh(client, listed):
    assert client.check() is None
    client.check()
    assert len(listed.asked) == 1


@pytest.mark.parametrize(
    "body", [b"not json", b"[]", b"{}", b'{"ids": "a"}', b'{"ids": [1]}', b'{"ids": null}', b"\xff"]
)
def test_a_malformed_list_does_not_replace_the_old_one(client, listed, body):
    listed.ids = ["a"]
    client.refresh()
    listed.body = body
    client.refresh()
    assert client.has_any(["a"])


@pytest.mark.parametrize("status", [304, 401, 403, 404, 500, 503])
def test_an_error_response_is_not_a_list(client, listed, status):
    listed.status = status
    client.refresh()
    with pytest.raises(SignOffsUnavailable):
        client.has_any(["a"])


def test_the_last_good_copy_is_used_for_15_minutes_and_its_age_is_reported(client, listed, clock):
    listed.ids = ["a"]
    client.refresh()
    assert client.check() is None
    listed.status = 503
    clock.now += STALE_AFTER + 1
    client.refresh()
    assert client.check() == "auth-service does not respond; its signed-off list is 7 s old."
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


def test_the_list_recovers_with_auth(client, listed, clock):
    client.refresh()
    listed.status = 503
    clock.now += MAX_AGE + 1
    client.refresh()
    listed.status, listed.ids = 200, ["a"]
    client.refresh()
    assert client.has_any(["a"])
    assert client.check() is None


def test_a_failure_and_the_recovery_are_each_logged_once(client, listed, caplog):
    caplog.set_level("INFO", "shared.sign_offs")
    listed.status = 503
    for _ in range(3):
        client.refresh()
    listed.status = 200
    for _ in range(3):
        client.refresh()
    assert caplog.messages == [
        "The signed-off list could not be fetched: it answered 503",
        "The signed-off list can be fetched again",
    ]
