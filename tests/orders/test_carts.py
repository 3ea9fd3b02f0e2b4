"""Carts: changed prices, limits, guests who sign in, and the sweep."""

import threading

import pytest

from orders.repository import carts
from tests.orders.conftest import Buyer, run_sql, sweep
from tests.waiting import wait_for


@pytest.fixture
def guest(app, auth):
    """A customer who has not signed in."""
    return Buyer(app, auth, "a guest", role="guest")


@pytest.fixture
def member(app, auth):
    """The same customer, signed in."""
    return Buyer(app, auth, "ada", guest_sub="a guest")


def put(buyer, product, quantity):
    return buyer.call("PUT", f"/cart/items/{product}", json={"quantity": quantity})


def show(buyer):
    return {item["product_id"]: item["quantity"] for item in buyer.get("/cart").json["items"]}


def fill(database, owner, products):
    run_sql(
        database,
        "INSERT INTO cart_items (owner, product_id, quantity)"
        " SELECT :owner, number, 1 FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS number",
        owner=owner,
        first=products[0],
        last=products[-1],
    )


def test_a_changed_price_is_shown_and_marked_until_the_product_is_added_again(buyer, catalog):
    put(buyer, 1, 2)
    catalog.prices[1] = 1100
    item = buyer.get("/cart").json["items"][0]
    assert (item["unit_amount"], item["amount"], item["problem"]) == (1100, 2200, "price_changed")
    assert item["previous_unit_amount"] == 1000
    accepted = put(buyer, 1, 2).json["items"][0]
    assert (accepted["problem"], accepted["previous_unit_amount"]) == (None, None)


def test_a_line_shows_its_worst_problem(buyer, catalog):
    put(buyer, 1, 2)
    catalog.prices[1] = 1100
    catalog.stock[1] = 1
    assert buyer.get("/cart").json["items"][0]["problem"] == "insufficient_stock"
    del catalog.stock[1]
    assert buyer.get("/cart").json["items"][0]["problem"] == "unavailable"


def test_a_line_without_a_stored_price_is_not_marked(buyer, database):
    fill(database, "ada", [1])
    assert buyer.get("/cart").json["items"][0]["problem"] is None


def test_a_put_calls_the_catalogue_once(buyer, catalog):
    put(buyer, 1, 2)
    catalog.calls.clear()
    assert len(put(buyer, 2, 1).json["items"]) == 2
    assert catalog.calls == ["read_offers"]


def test_a_quantity_out_of_bounds_is_refused(buyer):
    answers = [(quantity, put(buyer, 1, quantity).status_code) for quantity in (0, 1001, 1.5, None)]
    assert [answer for answer in answers if answer[1] != 422] == []


def test_no_product_has_the_number_0(buyer):
    for method in ("PUT", "DELETE"):
        answer = buyer.call(method, "/cart/items/0", json={"quantity": 1})
        assert (answer.status_code, answer.json["code"]) == (404, "product_not_found"), method


def test_a_cart_has_a_hundred_lines_at_most(buyer, database, catalog):
    fill(database, "ada", range(10, 110))
    answer = put(buyer, 1, 1)
    assert (answer.status_code, answer.json["code"]) == (409, "cart_full")
    assert catalog.calls == []


def test_two_concurrent_calls_do_not_add_a_hundred_and_first_line(app, auth, database, monkeypatch):
    fill(database, "ada", range(10, 109))
    put_item, read_cart = carts.put_item, carts.read_cart
    both, writers, counted, is_alone = threading.Barrier(2), set(), [], threading.Event()

    def is_other_blocked():
        return run_sql(
            database,
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )

    def put_and_note(*arguments):
        put_item(*arguments)
        writers.add(threading.get_ident())

    def count_together(*arguments):
        cart = read_cart(*arguments)
        if threading.get_ident() in writers:
            counted.append(len(cart.lines))
            # Neither call commits before the other has counted, unless the other is blocked by a lock.
            wait_for(lambda: len(counted) == 2 or is_other_blocked())
            if len(counted) == 1:
                is_alone.set()
            if not is_alone.is_set():
                both.wait(60)
        return cart

    monkeypatch.setattr(carts, "put_item", put_and_note)
    monkeypatch.setattr(carts, "read_cart", count_together)
    answers = []
    threads = [
        threading.Thread(target=lambda number=number: answers.append(put(Buyer(app, auth, "ada"), number, 1)))
        for number in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 409]


def test_a_guests_cart_is_merged_into_the_accounts_cart(guest, member):
    put(guest, 1, 2)
    put(guest, 2, 1)
    put(member, 3, 1)
    assert show(member) == {1: 2, 2: 1, 3: 1}
    assert show(guest) == {}


def test_merged_quantities_are_added_up_to_the_limit(guest, app, auth, member):
    put(guest, 1, 600)
    put(guest, 2, 3)
    earlier = Buyer(app, auth, "ada")
    put(earlier, 1, 500)
    put(earlier, 2, 4)
    assert show(member) == {1: 1000, 2: 7}
    assert show(member) == {1: 1000, 2: 7}


def test_an_order_of_the_cart_includes_the_guests_cart(guest, member):
    put(guest, 1, 2)
    assert member.order(items=None).json["items"][0]["quantity"] == 2
    assert show(member) == {}


def test_adding_or_removing_a_line_merges_the_guests_cart(guest, member):
    put(guest, 1, 2)
    assert len(put(member, 2, 1).json["items"]) == 2
    put(guest, 3, 1)
    assert len(member.call("DELETE", "/cart/items/2").json["items"]) == 2


def test_a_token_that_names_no_guest_merges_no_cart(guest, app, auth):
    put(guest, 1, 2)
    assert show(Buyer(app, auth, "bob")) == {}
    assert show(guest) == {1: 2}


def test_twenty_concurrent_reads_merge_a_guests_cart_once(guest, app, auth):
    put(guest, 1, 2)
    threads = [
        threading.Thread(target=lambda: show(Buyer(app, auth, "ada", guest_sub="a guest"))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert show(Buyer(app, auth, "ada")) == {1: 2}


def test_lines_of_a_guests_cart_beyond_the_limit_are_dropped(database, member):
    fill(database, "a guest", range(1, 51))
    fill(database, "ada", range(41, 121))
    cart = show(member)
    assert len(cart) == 100
    assert all(cart[number] == 2 for number in range(41, 51))
    assert all(cart[number] == 1 for number in range(51, 121))


def age_carts(database, where):
    run_sql(database, f"UPDATE cart_items SET updated_at = now() - interval '91 days' WHERE {where}")


def test_a_guests_cart_without_changes_for_90_days_is_deleted(guest, buyer, database):
    put(guest, 1, 1)
    put(buyer, 1, 1)
    age_carts(database, "true")
    sweep(database)
    assert show(guest) == {}
    assert show(buyer) == {1: 1}


def test_an_old_line_of_a_cart_in_use_is_kept(guest, database):
    put(guest, 1, 1)
    put(guest, 2, 1)
    age_carts(database, "product_id = 1")
    sweep(database)
    assert len(show(guest)) == 2


def test_the_cart_of_a_guest_who_has_registered_is_kept(guest, app, auth, database):
    put(guest, 1, 1)
    registered = Buyer(app, auth, "a guest")
    assert show(registered) == {1: 1}
    age_carts(database, "true")
    sweep(database)
    assert show(registered) == {1: 1}
