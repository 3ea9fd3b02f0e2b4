"""A killed part restarts, the shop works without a paused part, and no written data is lost."""

import pytest

from tests.conftest import COMPOSE
from tests.faults.customers import Customer
from tests.stacks import SERVICES, Shopper, Stack
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]


def is_whole(stack: Stack) -> bool:
    """Return whether every service is healthy and a customer can log in and list products."""
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
    """A stack in which every part works."""
    wait_for(lambda: is_whole(breakable), seconds=30)
    return breakable


def test_every_killed_part_restarts_within_seconds(whole: Stack) -> None:
    down = {}
    for part in [*SERVICES, "gateway", "postgres"]:
        try:
            whole.kill(part)
            wait_for(lambda: is_whole(whole), seconds=30)
        except AssertionError as error:
            down[part] = str(error)
    assert down == {}


# tests/stack/test_processes.py restarts the process stack after a kill of its supervisor.
@pytest.mark.parametrize("breakable", [COMPOSE], indirect=True)
def test_a_token_remains_valid_after_a_restart_of_all_parts(whole: Stack) -> None:
    with Shopper(whole.url) as shopper:
        token = shopper.log_in()
    whole.restart()
    with Shopper(whole.url) as shopper:
        answer = shopper.get("/products", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


def test_signed_in_users_can_shop_while_auth_service_is_down(whole: Stack) -> None:
    with Shopper(whole.url) as shopper:
        shopper.log_in()
        shopper.get("/products")
        whole.pause("auth-service")
        try:
            answers = [shopper.get("/products").status_code for _ in range(20)]
        finally:
            whole.resume("auth-service")
    assert answers == [200] * 20


def test_a_hanging_database_causes_only_a_clear_error_within_seconds(whole: Stack) -> None:
    with Customer(whole.url) as customer:
        customer.start_guest_session()
        whole.pause("postgres")
        try:
            answer = customer.get("/orders", timeout=20)
        finally:
            whole.resume("postgres")
        assert answer.status_code in {503, 504}
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["request_id"]
        wait_for(lambda: customer.get("/orders").status_code == 200, seconds=30)
