"""The address book of a registered user."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.orders.conftest import ADDRESS, Buyer, run_sql

SOME_ID = "018f5c3e-7a10-7c44-9d21-4b8f6a2e1c07"
EMPTY = {"line2": None, "phone": None}


def save(client, address=None, number=None):
    """Save an address; return the answer."""
    return client.call("PUT", f"/addresses/{number or uuid4()}", json={**ADDRESS, **(address or {})})


def read(client, **query):
    """Return the addresses of a user."""
    answer = client.call("GET", "/addresses", query_string=query)
    assert answer.status_code == 200, answer.text
    assert answer.json["next"] is None
    return answer.json["data"]


def test_an_address_is_saved_replaced_and_removed(buyer):
    number = str(uuid4())
    saved = save(buyer, {"phone": "+1 217 555 0100"}, number)
    assert (saved.status_code, saved.json) == (
        200,
        {**ADDRESS, **EMPTY, "phone": "+1 217 555 0100", "id": number},
    )
    save(buyer, {"line1": "2 High Street"})
    assert [entry["line1"] for entry in read(buyer)] == ["2 High Street", "1 Long Lane"]
    save(buyer, {"line1": "3 Low Street"}, number)
    assert [(entry["line1"], entry["phone"]) for entry in read(buyer)] == [
        ("3 Low Street", None),
        ("2 High Street", None),
    ]
    for _ in range(2):
        assert buyer.call("DELETE", f"/addresses/{number}").status_code == 204
    assert [entry["line1"] for entry in read(buyer)] == ["2 High Street"]


def test_the_addresses_of_others_are_neither_shown_nor_removed(buyer, app, auth):
    other, number = Buyer(app, auth, "zoe"), str(uuid4())
    save(buyer, number=number)
    assert read(other) == []
    assert other.call("DELETE", f"/addresses/{number}").status_code == 204
    # The same id in a second book stands for a second address.
    save(other, {"line1": "Elsewhere"}, number)
    assert [entry["line1"] for entry in read(buyer)] == ["1 Long Lane"]


def test_a_guest_has_no_address_book(app, auth):
    guest = Buyer(app, auth, "a guest", role="guest")
    assert save(guest).status_code == 403
    assert guest.call("GET", "/addresses").status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/addresses/7", ADDRESS, 404),
        (f"/addresses/{SOME_ID}", {**ADDRESS, "city": None}, 422),
        (f"/addresses/{SOME_ID}", {**ADDRESS, "id": str(uuid4())}, 422),
        (f"/addresses/{SOME_ID}", {}, 422),
    ],
)
def test_a_wrong_address_is_refused(buyer, path, body, status):
    assert buyer.call("PUT", path, json=body).status_code == status
    assert read(buyer) == []


def test_a_book_has_at_most_twenty_addresses_under_any_race(buyer):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: save(buyer, {"line1": f"{number} Lane"}), range(26)))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(409)) == (20, 6)
    assert {answer.json["code"] for answer in answers if answer.status_code == 409} == {"address_book_full"}
    book = read(buyer)
    assert len(book) == 20
    # One of them can still be replaced.
    assert save(buyer, {"line1": "Replaced"}, book[7]["id"]).status_code == 200


def test_the_addresses_of_the_last_orders_fill_the_book_on_demand(buyer):
    billing = {**ADDRESS, "name": "Buyer Limited"}
    buyer.order(key="one")
    buyer.order(key="two", shipping_address={**ADDRESS, "line1": "2 High Street"}, billing_address=billing)
    buyer.order(key="three")
    assert read(buyer) == []
    shown = read(buyer, with_orders="true")
    assert [(entry["id"], entry["name"], entry["line1"]) for entry in shown] == [
        (None, "Ada Buyer", "1 Long Lane"),
        (None, "Ada Buyer", "2 High Street"),
        (None, "Buyer Limited", "1 Long Lane"),
    ]
    saved = {name: value for name, value in shown[1].items() if name != "id"}
    assert buyer.call("PUT", f"/addresses/{uuid4()}", json=saved).status_code == 200
    shown = read(buyer, with_orders="true")
    assert [(entry["id"] is None, entry["line1"]) for entry in shown] == [
        (False, "2 High Street"),
        (True, "1 Long Lane"),
        (True, "1 Long Lane"),
    ]


def test_an_address_of_an_order_before_phones_is_the_same_address(buyer, database):
    save(buyer)
    buyer.order()
    run_sql(database, "UPDATE orders SET shipping_address = shipping_address - 'phone' - 'line2'")
    assert len(read(buyer, with_orders="true")) == 1


def test_the_orders_of_the_guest_who_signed_in_count(app, auth):
    Buyer(app, auth, "a guest", role="guest").order()
    member = Buyer(app, auth, "ada", guest_sub="a guest")
    assert len(read(member, with_orders="true")) == 1
    assert len(read(Buyer(app, auth, "zoe"), with_orders="true")) == 0
