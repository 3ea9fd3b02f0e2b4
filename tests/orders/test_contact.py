"""Numbers, contact details and notes of orders, and how an admin finds an order by them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.orders.conftest import ADDRESS, Buyer, run_sql
from tests.waiting import wait_for

BILLING = {
    **ADDRESS,
    "name": "Zoë Łukasz",
    "line1": "2 High Street",
    "country": "GB",
    "postal_code": "N1 9GU",
}


@pytest.fixture
def guest(app, auth):
    """A guest."""
    return Buyer(app, auth, "a guest", role="guest")


def list_orders(client, **query):
    """Return a page of orders."""
    answer = client.call("GET", "/orders", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json


def find(client, words):
    """Return the numbers of the orders that a search finds."""
    return [order["number"] for order in list_orders(client, q=words)["data"]]


def test_orders_are_numbered_from_1001_and_keep_their_number(buyer):
    numbers = []
    for key in ("one", "two", "one"):
        answer = buyer.order(key=key)
        numbers.append(answer.json["number"])
        assert buyer.get(answer.headers["Location"]).json["number"] == answer.json["number"]
    assert numbers == [1001, 1002, 1001]
    declined = buyer.order(key="three", card="pm_card_chargeDeclined")
    assert declined.status_code == 402
    # A number may be missing, but none is used twice.
    assert buyer.order(key="four").json["number"] > 1002


def test_parallel_orders_have_different_numbers(app, auth):
    buyers = [Buyer(app, auth, f"buyer {number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda each: each.order(), buyers))
    assert len({answer.json["number"] for answer in answers}) == 8


def test_a_guests_order_needs_an_email_address_and_an_accounts_does_not(guest, buyer):
    for email in (None, "", " "):
        answer = guest.order(key=f"a key {email}", email=email)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "email")
    assert guest.order(email="ada@example.com").status_code == 201
    assert buyer.order(email=None).json["email"] is None


def test_a_guest_who_repeats_a_call_from_before_that_rule_gets_its_answer(app, auth, buyer):
    placed = buyer.order(email=None)
    again = Buyer(app, auth, "ada", role="guest").order(email=None)
    assert (again.status_code, again.data) == (201, placed.data)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_an_order_keeps_its_billing_address_and_its_note(buyer):
    note = "  Ring twice.\nThe dog is friendly. "
    placed = buyer.order(
        billing_address=BILLING, note=note, shipping_address={**ADDRESS, "phone": "+1 (217) 555-0100 x7"}
    )
    for shown in (placed.json, buyer.get(placed.headers["Location"]).json):
        assert shown["billing_address"] == {"line2": None, "phone": None, **BILLING}
        assert shown["note"] == note.strip()
        assert shown["shipping_address"]["phone"] == "+1 (217) 555-0100 x7"
    plain = buyer.order(key="plain", note=" ").json
    assert (plain["billing_address"], plain["note"]) == (None, None)
    assert plain["shipping_address"]["phone"] is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"billing_address": {**ADDRESS, "city": None}}, "billing_address.city"),
        ({"billing_address": {**ADDRESS, "country": "XX"}}, "billing_address.country"),
        ({"shipping_address": {**ADDRESS, "phone": "none"}}, "shipping_address.phone"),
        ({"shipping_address": {**ADDRESS, "phone": "5" * 41}}, "shipping_address.phone"),
        ({"shipping_address": {**ADDRESS, "phone": "+ ()"}}, "shipping_address.phone"),
        ({"note": "x" * 1001}, "note"),
        ({"note": "\0"}, "note"),
        ({"number": 1}, "number"),
    ],
)
def test_wrong_contact_details_are_refused_by_field(buyer, changes, field):
    answer = buyer.order(**changes)
    assert (answer.status_code, [error["field"] for error in answer.json["errors"]]) == (422, [field])


def test_an_admin_finds_orders_by_number_email_and_name(app, auth, admin):
    ada, zoe = Buyer(app, auth, "ada"), Buyer(app, auth, "zoe")
    one = ada.order(email="Ada.Buyer@Example.com").json
    two = zoe.order(email="zoe@example.org", billing_address=BILLING).json
    first, second = one["number"], two["number"]
    cases = {
        str(first): [first],
        f"#{second}": [second],
        "999999999999999999": [],
        one["id"]: [first],
        "ada.buyer@example.com": [first],
        "ADA.BUY": [first],
        "zoe@": [second],
        "buyer": [second, first],
        "ada BUYER": [second, first],
        "zoë": [second],
        "Łuk Zo": [second],
        "ada zoë": [second],
        "missing": [],
        "& | ! ' \\ : * ( )": [],
        "' OR 1=1": [],
        "o'neil": [],
    }
    assert {words: find(admin, words) for words in cases} == cases


def test_a_customer_finds_only_own_orders(app, auth):
    ada, zoe = Buyer(app, auth, "ada"), Buyer(app, auth, "zoe")
    own, other = ada.order().json["number"], zoe.order().json["number"]
    assert (find(ada, "ada"), find(ada, str(own)), find(ada, str(other))) == ([own], [own], [])


def test_a_search_is_combined_with_the_other_filters_and_pages(buyer, admin):
    numbers = [buyer.order(key=f"key {number}").json["number"] for number in range(3)]
    wait_for(lambda: len(list_orders(admin, status="paid")["data"]) == 3)
    page = list_orders(admin, q="ada", limit=2, status="paid")
    assert [order["number"] for order in page["data"]] == numbers[:0:-1]
    page = list_orders(admin, q="ada", cursor=page["next"])
    assert [order["number"] for order in page["data"]] == numbers[:1]
    assert list_orders(admin, q="ada", status="cancelled")["data"] == []
    assert list_orders(admin, q="missing", status="paid")["data"] == []


def test_an_order_of_a_release_without_numbers_is_shown_and_found(buyer, admin, database):
    placed = buyer.order()
    run_sql(database, "UPDATE orders SET number = NULL")
    assert buyer.get(placed.headers["Location"]).json["number"] is None
    assert find(admin, "ada") == [None]
