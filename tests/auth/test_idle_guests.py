"""Guests without a cart and without orders are deleted after a day, if orders-service confirms it."""

import json
import threading
from uuid import UUID

import pytest
from sqlalchemy import text

from auth.clients import OrdersClient, OwnTokens
from auth.use_cases.guests import delete_idle_guests
from shared.errors import ServiceUnreachable
from tests.auth.conftest import ADMIN, EVE, claims_of
from tests.conftest import send_json
from tests.waiting import wait_for

PATH = "/internal/customers/known"


class FakeOrders:
    """An orders-service in memory."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.is_down = False
        self.requested: list[list[str]] = []
        self.before_response = lambda: None

    def find_known(self, customers):
        """Return the known customers."""
        self.requested.append(list(customers))
        self.before_response()
        if self.is_down:
            raise ServiceUnreachable
        return frozenset(self.known & set(customers))


@pytest.fixture
def orders():
    return FakeOrders()


@pytest.fixture
def guests(app, run_sql):
    """The refresh tokens of five guests from two days ago, by subject."""
    responses = [app.test_client().post("/auth/guest").json for _ in range(5)]
    run_sql("UPDATE users SET created_at = now() - interval '2 days'")
    let_pass(run_sql)
    return {claims_of(each["access_token"])["sub"]: each["refresh_token"] for each in responses}


def let_pass(run_sql, hours=25):
    run_sql("UPDATE sessions SET last_used_at = last_used_at - :h * interval '1 h'", h=hours)


def list_guests(run_sql):
    return {str(guest) for (guest,) in run_sql("SELECT id FROM users WHERE role = 'guest'")}


def refresh(app, token):
    return app.test_client().post("/auth/refresh", json={"refresh_token": token})


def test_an_unknown_guest_is_deleted_with_all_sessions_after_a_day(database, orders, guests, run_sql, app):
    first, *others = guests
    orders.known = {first}
    delete_idle_guests(database, orders)
    assert list_guests(run_sql) == {first}
    assert run_sql("SELECT count(*) FROM sessions") == [(1,)]
    assert refresh(app, guests[first]).status_code == 200
    assert refresh(app, guests[others[0]]).status_code == 401


def test_only_guests_without_activity_for_a_day_are_sent_to_orders_service(
    app, database, orders, guests, run_sql
):
    active, *idle = guests
    assert refresh(app, guests[active]).status_code == 200
    new = claims_of(app.test_client().post("/auth/guest").json["access_token"])["sub"]
    app.test_client().post("/auth/register", json=EVE)
    app.test_client().post("/auth", json=ADMIN)
    run_sql("UPDATE users SET created_at = now() - interval '2 days' WHERE role <> 'guest'")
    run_sql(
        "UPDATE sessions SET last_used_at = now() - interval '25 h' FROM users"
        " WHERE user_id = users.id AND role <> 'guest'"
    )
    delete_idle_guests(database, orders)
    assert orders.requested == [sorted(idle)]
    assert list_guests(run_sql) == {active, new}
    assert run_sql("SELECT count(*) FROM users WHERE role <> 'guest'") == [(2,)]


def test_all_guests_stay_if_orders_service_is_down(database, orders, guests, run_sql):
    orders.is_down = True
    delete_idle_guests(database, orders)
    assert len(orders.requested) == 1
    assert list_guests(run_sql) == set(guests)


def test_guests_are_sent_in_batches_and_each_once_per_round(database, orders, guests, run_sql):
    orders.known = set(sorted(guests)[:3])
    delete_idle_guests(database, orders, batch=2)
    assert [len(batch) for batch in orders.requested] == [2, 2, 1]
    assert sorted(guest for batch in orders.requested for guest in batch) == sorted(guests)
    assert list_guests(run_sql) == orders.known


def test_a_guest_who_returns_during_the_call_of_orders_service_stays(app, database, orders, guests, run_sql):
    back = next(iter(guests))
    orders.before_response = lambda: refresh(app, guests[back])
    delete_idle_guests(database, orders)
    assert list_guests(run_sql) == {back}


def test_a_guest_who_registers_during_the_call_of_orders_service_stays(
    app, database, orders, guests, run_sql
):
    registering = next(iter(guests))

    def register():
        client = app.test_client()
        client.set_cookie("refresh", guests[registering], path="/auth")
        assert claims_of(client.post("/auth/register", json=EVE).json["access_token"])["sub"] == registering

    orders.before_response = register
    delete_idle_guests(database, orders)
    assert list_guests(run_sql) == set()
    assert run_sql("SELECT id FROM users WHERE username = 'eve'") == [(UUID(registering),)]


def test_the_deletion_waits_for_a_running_refresh(database, orders, guests, run_sql):
    back = next(iter(guests))
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE sessions SET last_used_at = now() WHERE user_id = :guest"), {"guest": back}
        )
        thread = threading.Thread(target=delete_idle_guests, args=[database, orders])
        thread.start()
        wait_for(lambda: is_waiting(run_sql))
    thread.join()
    assert list_guests(run_sql) == {back}


def is_waiting(run_sql):
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return run_sql(f"{waiting} AND datname = current_database()") == [(1,)]


def test_concurrent_replicas_delete_each_guest_once(database, orders, app, run_sql):
    run_sql(
        "INSERT INTO users (username, role, created_at)"
        " SELECT 'guest-' || n, 'guest', now() - interval '2 days' FROM generate_series(1, 200) AS n"
    )
    threads = [
        threading.Thread(target=delete_idle_guests, args=[database, orders], kwargs={"batch": 7})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    delete_idle_guests(database, orders)
    assert list_guests(run_sql) == set()


@pytest.fixture
def client_of_orders(fake_server):
    return OrdersClient(fake_server.url, OwnTokens(lambda: "own"))


def test_the_call_of_orders_service_matches_the_contract(client_of_orders, fake_server):
    fake_server.answer = lambda handler, _: send_json(handler, b'{"known": ["b"], "later": 1}')
    assert client_of_orders.find_known(["a", "b"]) == {"b"}
    ((method, path, headers, body),) = fake_server.requests
    assert (method, path, json.loads(body)) == ("POST", PATH, {"customers": ["a", "b"]})
    assert headers["X-Service-Authorization"] == "Bearer own"
    assert headers["Content-Type"] == "application/json"


def test_a_malformed_response_is_an_error(client_of_orders, fake_server):
    accepted = []
    answers = [(200, b) for b in (b"", b"[]", b"{}", b"null", b"{", b'{"known": null}', b'{"known": "a"}')]
    answers += [(200, b'{"known": [1]}'), (200, b'{"known": {}}')]
    answers += [(status, b'{"known": []}') for status in (201, 302, 401, 403, 404, 422, 500, 503)]
    for status, body in answers:
        fake_server.answer = lambda handler, _, body=body, status=status: send_json(handler, body, status)
        try:
            client_of_orders.find_known(["a"])
        except ServiceUnreachable:
            continue
        accepted.append((status, body))
    assert accepted == []


def test_the_service_calls_orders_service_regularly_with_its_own_token(
    make_replica, fake_server, guests, run_sql
):
    fake_server.answer = lambda handler, _: send_json(handler, b'{"known": []}')
    make_replica(orders_url=fake_server.url)
    wait_for(lambda: list_guests(run_sql) == set())
    claims = claims_of(fake_server.requests[0][2]["X-Service-Authorization"].removeprefix("Bearer "))
    assert (claims["sub"], claims["client_id"], claims["role"]) == ("auth-service", "auth-service", "service")


def test_without_the_address_of_orders_service_no_guest_is_deleted(make_replica, guests, run_sql):
    assert "forget-guests" not in make_replica().background._nudges
    assert list_guests(run_sql) == set(guests)
