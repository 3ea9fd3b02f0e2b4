"""A part that dies comes back, the shop does without a part that is away, and nothing written is lost."""

import pytest

from tests.faults.customers import Customer
from tests.stacks import SERVICES, Shopper, Stack
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]


def is_whole(stack: Stack) -> bool:
    """Tell whether every service is healthy, and a customer can log in and list products."""
    try:
        with Shopper(stack.url) as shopper:
            if any(shopper.get(f"/healthz/{service}").status_code != 200 for service in SERVICES):
                return False
            shopper.log_in()
            return shopper.get("/products").status_code == 200
    except (OSError, AssertionError):
        return False


@pytest.fixture
def whole(breakable: Stack) -> Stack:
    """A stack of which every part works."""
    wait_for(lambda: is_whole(breakable), seconds=30)
    return breakable


def test_each_part_that_is_killed_is_back_within_seconds(whole: Stack) -> None:
    away = {}
    for part in [*SERVICES, "gateway", "postgres"]:
        try:
            whole.kill(part)
            wait_for(lambda: is_whole(whole), seconds=30)
        except AssertionError as error:
            away[part] = str(error)
    assert away == {}


def test_a_token_outlives_the_restart_of_everything(whole: Stack) -> None:
    with Shopper(whole.url) as shopper:
        token = shopper.log_in()
    whole.restart()
    with Shopper(whole.url) as shopper:
        answer = shopper.get("/products", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


def test_signed_in_users_shop_on_while_auth_is_away(whole: Stack) -> None:
    with Shopper(whole.url) as shopper:
        shopper.log_in()
        shopper.get("/products")
        whole.pause("auth-service")
        try:
            answers = [shopper.get("/products").status_code for _ in range(20)]
        finally:
            whole.resume("auth-service")
    assert answers == [200] * 20


def test_a_database_that_hangs_is_a_clear_error_within_seconds_and_no_more_than_that(whole: Stack) -> None:
    with Customer(whole.url) as customer:
        customer.come_in()
        whole.pause("postgres")
        try:
            answer = customer.get("/orders", timeout=20)
        finally:
            whole.resume("postgres")
        assert answer.status_code in {503, 504}
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["request_id"]
        wait_for(lambda: customer.get("/orders").status_code == 200, seconds=30)
