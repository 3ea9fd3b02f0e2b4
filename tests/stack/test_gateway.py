"""The hot path of a real shop: who may read from the cache, and how old that can be; on both stacks."""

import secrets
import time
from collections.abc import Iterator

import pytest

from tests.stacks import Shopper, Stack
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]

KEPT = {"HIT", "STALE", "UPDATING"}
OLD = 2.5  # Seconds after which nothing old is shown: two in the cache, and a moment for the call.
OUT = 5.0  # Seconds after which a session that ended is over everywhere.


@pytest.fixture
def admin(stack: Stack) -> Iterator[Shopper]:
    with Shopper(stack.url) as admin:
        admin.headers["Authorization"] = f"Bearer {admin.log_in()}"
        admin.cookies.clear()
        yield admin


@pytest.fixture
def guest(stack: Stack) -> Iterator[Shopper]:
    """Somebody with a cookie."""
    with Shopper(stack.url) as guest:
        assert guest.post("/auth/guest").status_code == 201
        yield guest


def read_from_cache(reader: Shopper, path: str):
    """Return an answer that the gateway had kept."""
    return wait_for(lambda: answer if (answer := reader.get(path)).headers.get("X-Cache") in KEPT else None)


def test_the_list_comes_from_the_cache_for_whoever_has_a_token_of_any_kind(
    admin: Shopper, guest: Shopper
) -> None:
    path = "/products?limit=7"
    kept = read_from_cache(admin, path)
    again = read_from_cache(guest, path)
    assert kept.status_code == again.status_code == 200
    assert len(again.json()["data"]) == 7
    tag = again.headers["ETag"]
    assert guest.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_nobody_reads_from_the_cache_without_a_good_token(stack: Stack, admin: Shopper) -> None:
    path = "/products?limit=7"
    read_from_cache(admin, path)
    with Shopper(stack.url) as stranger:
        for headers in ({}, {"Authorization": "Bearer forged"}, {"Cookie": "token=forged"}):
            answer = stranger.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_token_that_is_revoked_is_refused_within_five_seconds_on_the_hot_path_too(stack: Stack) -> None:
    with Shopper(stack.url) as person:
        registered = {"username": f"reader-{secrets.token_hex(6)}", "password": "correct horse battery"}
        answer = person.post("/auth/register", json=registered)
        assert answer.status_code == 201, answer.text
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        person.cookies.clear()
        for _ in range(20):
            assert person.get("/products?limit=7", headers=bearer).status_code == 200
        assert person.post("/auth/logout", headers=bearer).status_code == 204
        wait_for(lambda: person.get("/products?limit=7", headers=bearer).status_code == 401, seconds=OUT)
        for _ in range(20):
            assert person.get("/products?limit=7", headers=bearer).status_code == 401


@pytest.mark.parametrize("asks_between", [True, False], ids=["under readers", "after a quiet time"])
def test_what_an_admin_writes_is_shown_within_two_seconds(admin: Shopper, asks_between: bool) -> None:
    path, quiet = "/products/5", 2.0
    before = read_from_cache(admin, path).json()
    changed = {"title": f"Thing {secrets.token_hex(4)}", "version": before["version"]}
    answer = admin.patch(path, json=changed)
    assert answer.status_code == 200, answer.text
    if asks_between:
        wait_for(lambda: admin.get(path).json()["title"] == changed["title"], seconds=OLD)
    else:
        # Time itself is what is waited for: a reader after it must not be the first to wake the cache up.
        time.sleep(quiet)
        assert admin.get(path).json()["title"] == changed["title"]
