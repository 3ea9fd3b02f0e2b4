"""A guest's orders and idempotency keys are transferred when the guest signs in to an account."""

import pytest

from tests.orders.conftest import Buyer, read_status, run_sql
from tests.waiting import wait_for

NEEDS_AUTHENTICATION = "pm_card_authenticationRequired"
pytestmark = pytest.mark.usefixtures("quick_retries")


@pytest.fixture
def guest(app, auth):
    """A customer who has not signed in."""
    return Buyer(app, auth, "a guest", role="guest")


@pytest.fixture
def member(app, auth):
    """The same customer, signed in with the guest's token."""
    return Buyer(app, auth, "ada", guest_sub="a guest")


@pytest.fixture
def later(app, auth):
    """The same customer in a later session, whose token names no guest."""
    return Buyer(app, auth, "ada")


def ids(buyer):
    return [order["id"] for order in buyer.get("/orders").json["data"]]


def test_the_orders_belong_to_the_account_from_its_first_call_on(guest, member, later, payments):
    order = guest.order().json["id"]
    assert member.get(f"/orders/{order}").status_code == 200
    assert member.get(f"/orders/{order}/events").status_code == 200
    assert ids(later) == []
    member.get("/cart")
    assert ids(later) == ids(member) == [order]
    assert {str(key): who for key, who in payments.customers.items()} == {order: "ada"}
    assert ids(guest) == []
    assert guest.get(f"/orders/{order}").status_code == 404


def test_only_the_orders_of_the_tokens_guest_are_transferred(guest, app, auth, member):
    other = Buyer(app, auth, "a different guest", role="guest")
    order = other.order().json["id"]
    assert ids(member) == []
    assert member.get(f"/orders/{order}").status_code == 404
    assert member.call("POST", f"/orders/{order}/cancel").status_code == 404
    assert ids(other) == [order]


def test_a_guest_who_has_registered_keeps_the_orders(guest, app, auth, payments):
    order = guest.order().json["id"]
    registered = Buyer(app, auth, "a guest", guest_sub="a guest")
    assert ids(registered) == [order]
    assert "reassign" not in payments.calls


def test_many_orders_are_transferred(guest, member, later):
    placed = {guest.order(key=f"key {number}").json["id"] for number in range(3)}
    assert set(ids(guest)) == placed
    member.get("/orders")
    assert set(ids(later)) == placed


def test_a_call_that_is_repeated_after_the_sign_in_gets_the_guests_answer(guest, member, later, catalog):
    first = guest.order()
    for buyer in (member, later, guest):
        again = buyer.order()
        assert (again.status_code, again.data) == (201, first.data)
        assert again.headers["Idempotent-Replayed"] == "true"
    assert catalog.stock[1] == 98
    assert member.order(items=[(2, 1)]).json["code"] == "idempotency_key_reused"


def test_an_order_that_waits_for_payment_is_transferred_with_its_cart(
    guest, member, later, payments, catalog
):
    guest.call("PUT", "/cart/items/1", json={"quantity": 2})
    order = guest.order(items=None, card=NEEDS_AUTHENTICATION, key="the guest's").json["id"]
    assert member.get("/cart").json["items"][0]["quantity"] == 2
    # The account's cart is the one that the guest has ordered, so it is not ordered twice.
    again = member.order(items=None, key="the account's")
    assert (again.json["code"], again.json["order_id"]) == ("cart_already_ordered", order)
    payments.confirm(next(iter(payments.payments)))
    wait_for(lambda: read_status(later, f"/orders/{order}") == "paid")
    assert later.get("/cart").json["items"] == []
    assert catalog.stock[1] == 98


def test_a_customer_can_cancel_an_order_before_it_is_transferred(guest, member):
    order = guest.order().json["id"]
    cancelled = member.call("POST", f"/orders/{order}/cancel").json
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "cancelled_by_customer")


def test_while_payments_is_unavailable_the_account_sees_the_orders_and_they_are_transferred_later(
    guest, member, later, payments
):
    order = guest.order().json["id"]
    payments.is_away = {"reassign"}
    assert ids(member) == [order]
    assert ids(later) == []
    payments.is_away = set()
    assert ids(member) == [order]
    assert ids(later) == [order]


def test_a_pending_order_is_transferred_once_its_payment_is_known(guest, member, later, payments):
    payments.is_away = {"authorize"}
    answer = guest.order()
    location = answer.headers["Location"]
    assert answer.json["status"] == "pending"
    assert ids(member) == [answer.json["id"]]
    assert "reassign" not in payments.calls
    payments.is_away = set()
    wait_for(lambda: read_status(member, location) == "paid")
    assert ids(member) == ids(later) == [answer.json["id"]]
    assert list(payments.customers.values()) == ["ada"]
    assert ids(guest) == []


def test_an_admins_filter_finds_the_orders_by_the_account(guest, member, app, auth, database):
    order = guest.order().json["id"]
    member.get("/cart")
    admin = Buyer(app, auth, "root", role="admin")
    found = admin.get("/orders?user=ada").json["data"]
    assert [each["id"] for each in found] == [order]
    assert run_sql(database, "SELECT customer FROM orders") == [("ada",)]
