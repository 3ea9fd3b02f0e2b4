"""The gateway's cache on both stacks: who may read it, and how old its answers may be."""

import secrets
import time
from collections.abc import Iterator

import pytest

from tests.stack.deadlines import assert_soon
from tests.stacks import Shopper, Stack
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]

KEPT = {"HIT", "STALE", "UPDATING"}
OLD = 2.5  # Seconds until a change is visible: two in the cache, and half a second for the call.
QUIET = 2.0


@pytest.fixture
def admin(stack: Stack) -> Iterator[Shopper]:
    with Shopper(stack.url) as admin:
        admin.headers["Authorization"] = f"Bearer {admin.log_in()}"
        admin.cookies.clear()
        yield admin


@pytest.fixture
def guest(stack: Stack) -> Iterator[Shopper]:
    """A guest with a cookie."""
    with Shopper(stack.url) as guest:
        assert guest.post("/auth/guest").status_code == 201
        yield guest


def read_from_cache(reader: Shopper, path: str):
    """Return an answer from the gateway's cache."""
    return wait_for(lambda: answer if (answer := reader.get(path)).headers.get("X-Cache") in KEPT else None)


def test_the_list_comes_from_the_cache_for_a_token_of_any_kind(admin: Shopper, guest: Shopper) -> None:
    path = "/products?limit=7"
    kept = read_from_cache(admin, path)
    again = read_from_cache(guest, path)
    assert kept.status_code == again.status_code == 200
    assert len(again.json()["data"]) == 7

    def is_unchanged() -> bool:
        """Return whether the answer has the ETag of the last one; a sale in between changes it."""
        tag = read_from_cache(guest, path).headers["ETag"]
        return guest.get(path, headers={"If-None-Match": tag}).status_code == 304

    wait_for(is_unchanged)


def test_the_cache_answers_401_without_a_valid_token(stack: Stack, admin: Shopper) -> None:
    path = "/products?limit=7"
    read_from_cache(admin, path)
    with Shopper(stack.url) as stranger:
        for headers in ({}, {"Authorization": "Bearer forged"}, {"Cookie": "token=forged"}):
            answer = stranger.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_cache_refuses_a_revoked_token_within_five_seconds(stack: Stack) -> None:
    with Shopper(stack.url) as person:
        registered = {"username": f"reader-{secrets.token_hex(6)}", "password": "correct horse battery"}
        answer = person.post("/auth/register", json=registered)
        assert answer.status_code == 201, answer.text
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        person.cookies.clear()
        for _ in range(20):
            assert person.get("/products?limit=7", headers=bearer).status_code == 200
        assert person.post("/auth/logout", headers=bearer).status_code == 204
        assert_soon(lambda: person.get("/products?limit=7", headers=bearer).status_code == 401)
        for _ in range(20):
            assert person.get("/products?limit=7", headers=bearer).status_code == 401


def test_an_admins_change_is_visible_within_two_seconds(admin: Shopper, product: int) -> None:
    path = f"/products/{product}"

    def change_title() -> str:
        before = read_from_cache(admin, path).json()
        changed = {"title": f"Thing {secrets.token_hex(4)}", "version": before["version"]}
        answer = admin.patch(path, json=changed)
        assert answer.status_code == 200, answer.text
        return changed["title"]

    # While other clients read.
    title = change_title()
    assert_soon(lambda: admin.get(path).json()["title"] == title, seconds=OLD)
    # After a quiet time: even the first reader must get the new version.
    title = change_title()
    time.sleep(QUIET)
    assert admin.get(path).json()["title"] == title
