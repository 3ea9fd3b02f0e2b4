"""What dies comes back, what is away is done without, and what was written is still there."""

import pytest

from tests.stacks import SERVICES, Shopper, Stack
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]


def is_whole(stack: Stack) -> bool:
    """Tell whether somebody can log in and list products, and every service is healthy."""
    try:
        with Shopper(stack.url) as shopper:
            shopper.log_in()
            paths = ["/products", *(f"/healthz/{service}" for service in SERVICES)]
            return all(shopper.get(path).status_code == 200 for path in paths)
    except (OSError, AssertionError):
        return False


@pytest.fixture
def whole(stack: Stack) -> Stack:
    """A stack of which every part works."""
    wait_for(lambda: is_whole(stack), seconds=30)
    return stack


@pytest.mark.parametrize("part", [*SERVICES, "gateway", "postgres"])
def test_a_part_that_is_killed_is_back_within_seconds(whole, part):
    whole.kill(part)
    wait_for(lambda: is_whole(whole), seconds=30)


def test_a_token_outlives_the_restart_of_everything(whole):
    with Shopper(whole.url) as shopper:
        token = shopper.log_in()
    whole.restart()
    with Shopper(whole.url) as shopper:
        answer = shopper.get("/products", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


def test_whoever_is_in_shops_on_while_auth_is_away(whole):
    with Shopper(whole.url) as shopper:
        shopper.log_in()
        shopper.get("/products")
        whole.pause("auth-service")
        try:
            answers = [shopper.get("/products").status_code for _ in range(20)]
        finally:
            whole.resume("auth-service")
    assert answers == [200] * 20


def test_a_database_that_hangs_is_a_clear_error_within_seconds_and_no_more_than_that(whole):
    with Shopper(whole.url) as shopper:
        shopper.log_in()
        whole.pause("postgres")
        try:
            answer = shopper.get("/orders", timeout=20)
        finally:
            whole.resume("postgres")
        assert answer.status_code in {503, 504}
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["request_id"]
        wait_for(lambda: shopper.get("/orders").status_code == 200, seconds=30)
