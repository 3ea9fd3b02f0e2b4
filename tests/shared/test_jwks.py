"""The key set is fetched on demand, rarely, and is used during an outage of auth."""

import json
import threading
import time

import pytest

from shared import jwks
from shared.errors import KeysUnavailable
from shared.jwks import JwksClient
from tests.conftest import send_json
from tests.fakes import FakeAuth


@pytest.fixture
def served(fake_server, auth):
    fake_server.answer = lambda handler, _body: send_json(handler, json.dumps(auth.key_set()).encode())
    return fake_server


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    fake = Clock()
    monkeypatch.setattr(jwks, "time", fake)
    return fake


def test_the_first_lookup_fetches_and_the_next_ones_do_not(served, auth):
    client = JwksClient(served.url)
    assert client.find_key(auth.kid) == auth.private_key.public_key()
    client.find_key(auth.kid)
    client.check()
    assert [path for _method, path, _headers, _body in served.requests] == ["/.well-known/jwks.json"]


def test_an_unknown_key_is_fetched_at_most_once_per_cool_down(served, auth, clock):
    client = JwksClient(served.url)
    client.find_key(auth.kid)
    for _ in range(5):
        assert client.find_key("unknown") is None
    assert len(served.requests) == 1
    clock.now += jwks.COOL_DOWN + 0.1
    client.find_key("unknown")
    client.find_key("unknown")
    assert len(served.requests) == 2


def test_a_rotated_key_is_found_after_the_cool_down(served, auth, clock):
    client = JwksClient(served.url)
    client.find_key(auth.kid)
    rotated = FakeAuth()
    both = {"keys": auth.key_set()["keys"] + rotated.key_set()["keys"]}
    served.answer = lambda handler, _body: send_json(handler, json.dumps(both).encode())
    clock.now += jwks.COOL_DOWN + 0.1
    assert client.find_key(rotated.kid) == rotated.private_key.public_key()
    assert client.find_key(auth.kid) is not None


def test_an_unknown_key_is_unavailable_and_not_invalid_while_auth_is_down(served, auth, clock):
    client = JwksClient(served.url)
    answer = served.answer
    assert client.find_key("unknown") is None
    served.answer = lambda handler, _body: send_json(handler, b"{}", status=500)
    clock.now += jwks.COOL_DOWN + 0.1
    for _ in range(2):
        with pytest.raises(KeysUnavailable):
            client.find_key("unknown")
    assert client.find_key(auth.kid) is not None
    served.answer = answer
    clock.now += jwks.COOL_DOWN + 0.1
    assert client.find_key("unknown") is None


def test_an_old_copy_is_refreshed(served, auth, clock):
    client = JwksClient(served.url)
    client.find_key(auth.kid)
    clock.now += jwks.REFRESH_AFTER + 1
    client.find_key(auth.kid)
    assert len(served.requests) == 2


@pytest.mark.parametrize(
    "failure", [b"not json", b"[]", b"{}", b'{"keys": []}', b'{"keys": [{"kty": "oct"}]}']
)
def test_the_last_good_copy_is_used_for_15_minutes_while_auth_fails(served, auth, clock, failure):
    client = JwksClient(served.url)
    client.find_key(auth.kid)
    served.answer = lambda handler, _body: send_json(handler, failure)
    clock.now += jwks.MAX_AGE - 1
    assert client.find_key(auth.kid) is not None
    clock.now += 2
    with pytest.raises(KeysUnavailable):
        client.find_key(auth.kid)


def test_while_auth_is_down_an_unknown_key_blocks_one_thread_only(served, auth, clock):
    client = JwksClient(served.url)
    client.find_key(auth.kid)
    asked, release = threading.Event(), threading.Event()

    def fail(handler, _body):
        send_json(handler, b"{}", status=500)

    def hang(handler, body):
        asked.set()
        release.wait(10)
        fail(handler, body)

    served.answer = fail
    clock.now += jwks.REFRESH_AFTER + 1
    client.find_key(auth.kid)
    served.answer = hang
    clock.now += jwks.COOL_DOWN + 1
    waiting = threading.Thread(target=lambda: client.find_key(auth.kid))
    waiting.start()
    assert asked.wait(10)
    # This call returns while the other thread's fetch is in progress.
    with pytest.raises(KeysUnavailable):
        client.find_key("unknown")
    assert waiting.is_alive()
    release.set()
    waiting.join()


def test_the_age_of_the_copy_is_reported_while_auth_is_down(served, auth, clock):
    client = JwksClient(served.url)
    assert client.check() is None
    good = served.answer
    served.answer = lambda handler, _body: send_json(handler, b"{}", status=500)
    clock.now += jwks.REFRESH_AFTER + 1
    client.find_key(auth.kid)
    assert client.check() == "auth-service does not respond; its keys are 31 s old."
    served.answer = good
    clock.now += jwks.REFRESH_AFTER
    client.find_key(auth.kid)
    assert client.check() is None


def test_without_a_copy_keys_are_unavailable_and_not_every_request_fetches(served, clock):
    served.answer = lambda handler, _body: send_json(handler, b"{}", status=500)
    client = JwksClient(served.url)
    for _ in range(4):
        with pytest.raises(KeysUnavailable):
            client.find_key("any")
    assert len(served.requests) == 1


def test_concurrent_threads_share_one_fetch(served, auth):
    client = JwksClient(served.url)
    answer = served.answer

    def slowly(handler, body):
        time.sleep(0.1)  # Long enough for every thread to be waiting.
        answer(handler, body)

    served.answer = slowly
    found = []
    threads = [threading.Thread(target=lambda: found.append(client.find_key(auth.kid))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [auth.private_key.public_key()] * 8
    assert len(served.requests) == 1


def test_unusable_keys_are_ignored(auth):
    theirs = {"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB", "alg": "RS256"}
    ours = auth.key_set()["keys"]
    assert set(jwks.read_key_set({"keys": [theirs, "nonsense", {"kty": "EC"}, *ours]})) == {auth.kid}
