"""Orders that wait for payment hold stock, so their number is limited for each customer and network."""

import pytest

from orders.config import Settings
from orders.domain import Waiting, WaitingLimits
from tests.orders.conftest import ADDRESS, Buyer, create_quick_app, read_status, run_sql
from tests.waiting import wait_for

NEEDS_AUTHENTICATION = "pm_card_authenticationRequired"
LIMITS = {
    "waiting_orders_per_customer": 2,
    "waiting_units_per_customer": 10,
    "waiting_orders_per_address": 3,
    "waiting_units_per_address": 20,
}
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.1"
pytestmark = pytest.mark.usefixtures("quick_retries")


@pytest.fixture
def start(standing, auth, catalog, payments):
    """Start a replica with LIMITS, or with other limits."""
    apps = []

    def start(**others):
        app = create_quick_app(
            standing.settings.model_copy(update={**LIMITS, **others}), auth, catalog, payments
        )
        apps.append(app)
        return app

    yield start
    for app in apps:
        app.close()


def order(app, auth, sub, key, *, units=1, product=1, card=NEEDS_AUTHENTICATION, address=HERE):
    body = {
        "items": [{"product_id": product, "quantity": units}],
        "payment_method": card,
        "shipping_address": ADDRESS,
    }
    headers = {**auth.bearer(sub=sub), "Idempotency-Key": key, "X-Forwarded-For": address}
    return app.test_client().post("/orders", json=body, headers=headers)


def describe(answer):
    return answer.status_code, answer.json.get("code", answer.json.get("status"))


WAITS, REFUSED = (201, "awaiting_payment"), (429, "too_many_waiting")


def test_a_customer_at_the_limit_can_still_order_without_authentication(start, auth, catalog, payments):
    app = start()
    first, second, third = (order(app, auth, "ada", key) for key in ("1", "2", "3"))
    assert [describe(answer) for answer in (first, second, third)] == [WAITS, WAITS, REFUSED]
    assert third.json["detail"].startswith(
        "More than 2 of your orders would be waiting for payment. Complete"
    )
    assert order(app, auth, "ada", "3").data == third.data
    # The refused order holds no stock, and its payment was cancelled.
    buyer = Buyer(app, auth, "ada")
    refused = buyer.get(f"/orders/{third.json['order_id']}").json
    assert (refused["status"], refused["reason"]) == ("cancelled", "too_many_waiting")
    assert catalog.stock[1] == 98
    # An order that needs no authentication is not limited.
    assert order(app, auth, "ada", "4", card="pm_card_visa").status_code == 201
    # An order no longer counts once it is paid or cancelled.
    payments.confirm(next(iter(payments.payments)))
    wait_for(lambda: read_status(buyer, f"/orders/{first.json['id']}") == "paid")
    assert describe(order(app, auth, "ada", "5")) == WAITS
    buyer.post(f"/orders/{second.json['id']}/cancel")
    assert describe(order(app, auth, "ada", "6")) == WAITS


def test_a_customers_waiting_units_are_limited(start, auth):
    app = start()
    assert describe(order(app, auth, "ada", "1", units=11)) == REFUSED
    assert describe(order(app, auth, "ada", "2", units=7)) == WAITS
    refused = order(app, auth, "ada", "3", units=4)
    assert describe(refused) == REFUSED
    assert "More than 10 units in your orders" in refused.json["detail"]
    assert describe(order(app, auth, "ada", "4", units=3)) == WAITS


def test_a_networks_waiting_orders_and_units_are_limited_across_customers(start, auth):
    app = start()
    for number in range(3):
        assert describe(order(app, auth, f"guest {number}", "1")) == WAITS
    refused = order(app, auth, "guest 3", "1")
    assert describe(refused) == REFUSED
    assert "More than 3 of the orders from your network" in refused.json["detail"]
    assert describe(order(app, auth, "guest 4", "1", address=ELSEWHERE)) == WAITS
    for number, expected in ((5, WAITS), (6, REFUSED)):
        answer = order(app, auth, f"guest {number}", "1", units=10, address="203.0.113.1")
        assert describe(answer) == expected
        order(app, auth, f"guest {number} again", "1", units=9, address="203.0.113.1")


def test_addresses_of_one_ipv6_network_share_a_limit(start, auth):
    app = start(waiting_orders_per_address=1)
    answers = [
        order(app, auth, f"guest {number}", "1", address=address)
        for number, address in enumerate(["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"])
    ]
    assert [describe(answer) for answer in answers] == [WAITS, REFUSED, WAITS]


def test_an_order_that_an_older_replica_placed_counts_for_its_customer(start, auth, database):
    app = start()
    for key in ("1", "2"):
        order(app, auth, "ada", key)
    run_sql(database, "UPDATE order_work SET network = NULL")
    assert describe(order(app, auth, "ada", "3")) == REFUSED
    assert describe(order(app, auth, "bob", "1")) == WAITS


def test_a_shop_can_switch_the_limits_off(start, auth):
    app = start(rate_limits="off")
    assert [describe(order(app, auth, "ada", str(number), units=9)) for number in range(4)] == [WAITS] * 4


def test_the_limits_are_as_documented(standing):
    assert standing.settings.waiting_limits == WaitingLimits(5, 200, 50, 1000)
    assert Settings.model_fields["rate_limits"].default == "on"


@pytest.mark.parametrize(
    ("customer", "address", "found"),
    [
        (Waiting(2, 10), Waiting(3, 20), None),
        (Waiting(3, 10), Waiting(3, 20), "More than 2 of your orders would be waiting for payment."),
        (Waiting(2, 11), Waiting(3, 20), "More than 10 units in your orders would be waiting for payment."),
        (
            Waiting(2, 10),
            Waiting(4, 20),
            "More than 3 of the orders from your network would be waiting for payment.",
        ),
        (
            Waiting(2, 10),
            Waiting(3, 21),
            "More than 20 units in the orders from your network would be waiting for payment.",
        ),
    ],
)
def test_a_limit_that_is_reached_is_not_exceeded(customer, address, found):
    assert WaitingLimits(2, 10, 3, 20).find_excess(customer, address) == found


def test_auth_service_finds_the_known_customers(app, auth, buyer, database):
    buyer.order()
    Buyer(app, auth, "with a cart").call("PUT", "/cart/items/1", json={"quantity": 1})
    Buyer(app, auth, "with an empty cart").get("/cart")
    customers = ["ada", "with a cart", "with an empty cart", "unknown", "with an answer"]
    run_sql(
        database,
        "INSERT INTO idempotency_keys (principal, route, key, fingerprint, order_id)"
        " SELECT 'with an answer', route, key, fingerprint, order_id FROM idempotency_keys",
    )
    headers = auth.service_bearer("auth-service")
    answer = app.test_client().post(
        "/internal/customers/known", json={"customers": customers}, headers=headers
    )
    assert (answer.status_code, answer.json) == (200, {"known": ["ada", "with a cart", "with an answer"]})
