"""What clerks, editors and integrators may do with orders of other customers, and with their own."""

import pytest

from tests.orders.conftest import Buyer, read_kinds, read_status
from tests.orders.prices import add_coupon
from tests.waiting import wait_for


@pytest.fixture
def clerk(app, auth) -> Buyer:
    return Buyer(app, auth, "clara", role="clerk")


@pytest.fixture
def editor(app, auth) -> Buyer:
    return Buyer(app, auth, "edgar", role="editor")


@pytest.fixture
def integrate(app, auth):
    """Return an integrator with these scopes."""

    def integrate(scope: str) -> Buyer:
        return Buyer(app, auth, "app-till", role="service", client_id="app-till", scope=scope)

    return integrate


def list_ids(caller: Buyer, query: str = "") -> list[str]:
    answer = caller.get(f"/orders{query}")
    assert answer.status_code == 200, answer.text
    return [order["id"] for order in answer.json["data"]]


def read_last_event(caller: Buyer, location: str) -> dict:
    return caller.get(f"{location}/events").json["data"][-1]


def collect_statuses(caller: Buyer, *calls: tuple[str, str]) -> dict[tuple[str, str], int]:
    """Make calls with an empty body if they write; return their statuses."""
    return {
        (method, path): caller.call(
            method, path, key="k", **({} if method == "GET" else {"json": {}})
        ).status_code
        for method, path in calls
    }


def test_a_clerk_finds_and_reads_the_orders_of_all_customers(buyer, clerk, paid):
    shown = clerk.get(paid)
    assert shown.json == buyer.get(paid).json
    order_id, number = shown.json["id"], shown.json["number"]
    for query in ("", f"?q={number}", "?status=paid", "?user=ada"):
        assert list_ids(clerk, query) == [order_id], query
    assert list_ids(clerk, "?user=clara") == list_ids(clerk, "?status=shipped") == []
    assert clerk.get(f"{paid}/events").json == buyer.get(f"{paid}/events").json


def test_a_clerk_ships_delivers_and_refunds_an_order(buyer, clerk, paid):
    assert clerk.post(f"{paid}/ship").json["status"] == "shipped"
    assert clerk.post(f"{paid}/deliver").json["status"] == "delivered"
    assert read_last_event(buyer, paid)["actor"] == "clara"
    answer = clerk.call("POST", f"{paid}/refund", key="k", json={"amount": 500})
    assert (answer.status_code, answer.json["amount_refunded"]) == (200, 500)
    requested = [
        event for event in buyer.get(f"{paid}/events").json["data"] if event["kind"] == "refund_requested"
    ]
    assert [event["actor"] for event in requested] == ["clara"]


def test_a_clerk_cancels_an_order_as_the_shop_does(buyer, clerk, paid):
    """The reason is the one that clients of earlier releases know; the event names the clerk."""
    answer = clerk.post(f"{paid}/cancel")
    assert (answer.json["status"], answer.json["reason"]) == ("cancelled", "cancelled_by_admin")
    events = buyer.get(f"{paid}/events").json["data"]
    assert [event["actor"] for event in events if event["kind"] == "cancel_requested"] == ["clara"]


def test_a_clerk_neither_keeps_coupons_nor_sets_up_prices(admin, clerk):
    add_coupon(admin)
    calls = [
        *(("GET", "/coupons"), ("POST", "/coupons"), ("GET", "/coupons/TEN"), ("PATCH", "/coupons/TEN")),
        *(("DELETE", "/coupons/TEN"), ("POST", "/coupons/generate")),
        *(("GET", "/shipping-methods"), ("POST", "/shipping-methods"), ("GET", "/tax-rates")),
    ]
    assert collect_statuses(clerk, *calls) == dict.fromkeys(calls, 403)


def test_an_editor_keeps_coupons_and_sets_up_no_other_prices(editor):
    add_coupon(editor)
    assert editor.call("PATCH", "/coupons/TEN", json={"active": False}).json["active"] is False
    assert [coupon["code"] for coupon in editor.get("/coupons").json["data"]] == ["TEN"]
    assert editor.call("DELETE", "/coupons/TEN").status_code == 204
    calls = [(method, path) for path in ("/shipping-methods", "/tax-rates") for method in ("GET", "POST")]
    assert collect_statuses(editor, *calls) == dict.fromkeys(calls, 403)


def test_an_order_of_another_customer_does_not_exist_for_an_editor(buyer, editor, paid):
    hidden = [("GET", paid), ("GET", f"{paid}/events"), ("POST", f"{paid}/cancel")]
    assert collect_statuses(editor, *hidden) == dict.fromkeys(hidden, 404)
    closed = [("POST", f"{paid}/{move}") for move in ("ship", "deliver", "refund")]
    assert collect_statuses(editor, *closed) == dict.fromkeys(closed, 403)
    # The filter by user is for those who see all orders.
    assert list_ids(editor) == list_ids(editor, "?user=ada") == []
    assert read_status(buyer, paid) == "paid"


@pytest.mark.parametrize("role", ["clerk", "editor"])
def test_clerks_and_editors_buy_like_customers(app, auth, role):
    person = Buyer(app, auth, "pat", role=role)
    assert person.call("PUT", "/cart/items/1", json={"quantity": 1}).status_code == 200
    location = person.order(items=None).headers["Location"]
    wait_for(lambda: read_status(person, location) == "paid")
    assert list_ids(person, "?user=pat") == [location.rpartition("/")[2]]
    assert person.get("/addresses").status_code == 200
    assert person.post(f"{location}/cancel").json["reason"] == "cancelled_by_customer"


def test_an_integrator_with_orders_read_reads_all_orders_and_changes_none(buyer, integrate, paid):
    reader = integrate("orders:read")
    assert reader.get(paid).json == buyer.get(paid).json
    assert reader.get(f"{paid}/events").json == buyer.get(f"{paid}/events").json
    order_id = paid.rpartition("/")[2]
    assert list_ids(reader) == list_ids(reader, "?user=ada&status=paid&q=ada") == [order_id]
    assert list_ids(reader, "?user=app-till") == []
    assert reader.get(f"/orders/{order_id[:-4]}0000").status_code == 404
    closed = [
        *(("POST", f"{paid}/{move}") for move in ("cancel", "ship", "deliver", "refund")),
        *(("POST", "/orders"), ("POST", "/orders/quote"), ("GET", "/cart"), ("GET", "/addresses")),
        ("GET", "/coupons"),
    ]
    assert collect_statuses(reader, *closed) == dict.fromkeys(closed, 403)
    assert read_status(buyer, paid) == "paid"


def test_an_integrator_with_orders_fulfil_ships_and_delivers_and_no_more(buyer, integrate, paid):
    fulfiller = integrate("orders:fulfil")
    closed = [
        *(("GET", path) for path in ("/orders", paid, f"{paid}/events")),
        *(("POST", f"{paid}/{move}") for move in ("cancel", "refund")),
    ]
    assert collect_statuses(fulfiller, *closed) == dict.fromkeys(closed, 403)
    for move, status in (("ship", "shipped"), ("deliver", "delivered")):
        answer = fulfiller.post(f"{paid}/{move}")
        assert (answer.status_code, answer.json["status"]) == (200, status)
        assert read_last_event(buyer, paid)["actor"] == "app-till"
    assert read_kinds(buyer, paid)[-2:] == ["shipped", "delivered"]
    missing = "/orders/00000000-0000-7000-8000-000000000000"
    assert fulfiller.post(f"{missing}/ship").json["code"] == "order_not_found"


def test_other_scopes_give_no_access_to_orders(integrate, paid):
    calls = [("GET", "/orders"), ("GET", paid), ("POST", f"{paid}/ship"), ("POST", f"{paid}/deliver")]
    other = integrate("products:read products:write logs:read logs:write orders orders:readings")
    assert collect_statuses(other, *calls) == dict.fromkeys(calls, 403)
