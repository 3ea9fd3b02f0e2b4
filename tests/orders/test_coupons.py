"""Coupons: the admin's, what they take off, and how often they are used, under any race."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.orders.conftest import ADDRESS, Buyer, read_status, run_sql
from tests.orders.prices import add_coupon, add_method, list_adjustments
from tests.waiting import wait_for


def read_uses(admin: Buyer, code: str = "TEN") -> int:
    return admin.get(f"/coupons/{code}").json["uses"]


def test_an_order_with_a_coupon_pays_less_and_takes_a_use(buyer, admin, payments):
    add_coupon(admin)
    placed = buyer.order(coupon=" ten ", expected_amount=1800)
    assert (placed.status_code, placed.json["coupon"], placed.json["amount"]) == (201, "TEN", 1800)
    assert placed.json["adjustments"] == [
        {"kind": "discount", "code": "TEN", "title": "TEN", "amount": -200, "included": False}
    ]
    assert placed.json["items"][0]["discount_amount"] == 200
    assert [each["amount"] for each in payments.payments.values()] == [1800]
    assert read_uses(admin) == 1


@pytest.mark.parametrize(
    ("terms", "items", "discounts"),
    [
        ({"amount": 500}, [(1, 1), (2, 1)], [250, 250]),
        ({"amount": 1}, [(1, 1), (2, 1), (3, 1)], [1, 0, 0]),
        ({"amount": 99_999}, [(1, 1)], [1000]),
        ({"percent": 10, "products": [2]}, [(1, 1), (2, 1)], [0, 100]),
        ({"percent": 10, "categories": ["kitchen"]}, [(1, 1), (2, 1), (3, 1)], [100, 100, 0]),
    ],
    ids=["an amount", "one cent", "too much", "a product", "a category"],
)
def test_the_discount_is_spread_over_the_lines_that_it_applies_to(
    buyer, admin, catalog, terms, items, discounts
):
    catalog.traits = {1: {"category": "kitchen"}, 2: {"category": "kitchen/knives"}, 3: {"category": "kit"}}
    add_coupon(admin, **terms)
    placed = buyer.order(items=items, coupon="TEN").json
    assert [line["discount_amount"] for line in placed["items"]] == discounts
    assert placed["amount"] == placed["items_amount"] - sum(discounts)


def test_100_percent_off_needs_no_payment(buyer, admin, payments):
    add_coupon(admin, percent=100)
    body = {
        "items": [{"product_id": 1, "quantity": 2}],
        "coupon": "TEN",
        "shipping_address": ADDRESS,
    }
    placed = buyer.call("POST", "/orders", key="free", json=body)
    assert (placed.status_code, placed.json["amount"], placed.json["payment"]) == (201, 0, None)
    location = placed.headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert payments.payments == {}
    # Without the coupon, the order has to be paid.
    refused = buyer.call("POST", "/orders", key="dear", json={**body, "coupon": None})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "payment_method")
    assert read_uses(admin) == 1
    # There is no order, and a repeated call of the free one gets its answer.
    assert len(buyer.get("/orders").json["data"]) == 1
    again = buyer.call("POST", "/orders", key="free", json=body)
    assert (again.status_code, again.json["id"]) == (201, placed.json["id"])


def test_an_order_that_costs_only_its_shipping_is_paid_and_captured(buyer, admin, payments):
    add_coupon(admin, percent=100)
    add_method(admin)
    location = buyer.order(coupon="TEN", shipping_method="standard").headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert [each["captured"] for each in payments.payments.values()] == [490]


def test_a_free_item_with_shipping_is_captured(buyer, admin, catalog, payments):
    catalog.prices[1] = 0
    add_method(admin)
    location = buyer.order(shipping_method="standard").headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert [each["captured"] for each in payments.payments.values()] == [490]


PAST, FUTURE = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 1))
REFUSED = {
    "unknown": (None, "unknown"),
    "switched off": ({"active": False}, "ended"),
    "ended": ({"ends": PAST.isoformat()}, "ended"),
    "not started": ({"starts": FUTURE.isoformat()}, "not_started"),
}


@pytest.mark.parametrize(("terms", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_coupon_that_is_not_valid_places_no_order(buyer, admin, database, terms, reason):
    if terms is not None:
        add_coupon(admin, **terms)
    answer = buyer.order(coupon="TEN")
    assert (answer.status_code, answer.json["code"]) == (409, "coupon_not_usable")
    assert (answer.json["reason"], answer.json["coupon"]) == (reason, "TEN")
    assert "TEN" in answer.json["detail"]
    assert run_sql(database, "SELECT FROM orders") == []
    assert run_sql(database, "SELECT FROM idempotency_keys") == []
    if terms is not None:
        assert read_uses(admin) == 0
    # The key is free for the order without it.
    assert buyer.order(coupon=None).status_code == 201


@pytest.mark.parametrize(
    ("terms", "reason"),
    [({"minimum": 2001}, "below_minimum"), ({"products": [9]}, "not_applicable")],
    ids=["minimum", "products"],
)
def test_a_coupon_that_does_not_fit_the_items_gives_its_use_back(buyer, admin, catalog, terms, reason):
    add_coupon(admin, limit=1, **terms)
    answer = buyer.order(coupon="TEN")
    assert (answer.status_code, answer.json["reason"]) == (409, reason)
    wait_for(lambda: read_uses(admin) == 0)
    assert catalog.stock[1] == 100
    fitting = buyer.order(key="two", items=[(9, 3)], coupon="TEN")
    assert (fitting.status_code, read_uses(admin)) == (201, 1)


def test_the_minimum_counts_all_items_before_the_discount(buyer, admin):
    add_coupon(admin, minimum=2000, products=[1])
    assert buyer.order(items=[(1, 1), (2, 1)], coupon="TEN").json["amount"] == 1900


def test_a_limit_per_customer_counts_accounts_and_guests_by_email(buyer, admin, app, auth):
    add_coupon(admin, limit_per_customer=1)
    assert buyer.order(coupon="TEN").status_code == 201
    again = buyer.order(key="two", coupon="TEN")
    assert (again.status_code, again.json["reason"]) == (409, "used_by_customer")
    assert Buyer(app, auth, "bob").order(coupon="TEN").status_code == 201
    guest, other = (Buyer(app, auth, name, role="guest") for name in ("guest-1", "guest-2"))
    assert guest.order(coupon="TEN", email="Eve@Example.com").status_code == 201
    refused = other.order(coupon="TEN", email="eve@example.COM")
    assert (refused.status_code, refused.json["reason"]) == (409, "used_by_customer")


def test_a_coupon_for_a_first_order_is_refused_to_who_has_ordered(buyer, admin, app, auth):
    add_coupon(admin, first_order_only=True)
    assert admin.get("/coupons/TEN").json["limit_per_customer"] == 1
    cancelled = buyer.order(key="zero").headers["Location"]
    buyer.post(f"{cancelled}/cancel")
    wait_for(lambda: read_status(buyer, cancelled) == "cancelled")
    assert buyer.order(coupon="TEN").status_code == 201
    bob = Buyer(app, auth, "bob")
    assert bob.order().status_code == 201
    refused = bob.order(key="two", coupon="TEN")
    assert (refused.status_code, refused.json["reason"]) == (409, "first_order_only")
    assert read_uses(admin) == 1
    guest = Buyer(app, auth, "a guest", role="guest")
    assert guest.order(email="eve@example.com").status_code == 201
    refused = Buyer(app, auth, "again", role="guest").order(coupon="TEN", email="EVE@example.com")
    assert (refused.status_code, refused.json["reason"]) == (409, "first_order_only")


def place(buyer: Buyer, key: str, **body: Any) -> Any:
    """Return the final answer to an order; a busy service may need several calls."""
    answers: list[Any] = []

    def is_final() -> bool:
        answers.append(buyer.order(key=key, **body))
        status, code = answers[-1].status_code, answers[-1].json.get("code")
        return status not in {202, 503} and code != "idempotency_in_progress"

    wait_for(is_final)
    return answers[-1]


def order_at_once(buyers, **body):
    with ThreadPoolExecutor(len(buyers)) as pool:
        answers = list(pool.map(lambda buyer: place(buyer, "race", **body), buyers))
    return sorted(answer.status_code for answer in answers), answers


def test_64_parallel_orders_use_a_limit_of_ten_exactly_ten_times(admin, app, auth, database):
    add_coupon(admin, limit=10)
    buyers = [Buyer(app, auth, f"buyer {number}") for number in range(64)]
    statuses, answers = order_at_once(buyers, items=[(1, 1)], coupon="TEN")
    assert statuses == [201] * 10 + [409] * 54
    refused = {answer.json["reason"] for answer in answers if answer.status_code == 409}
    assert refused == {"used_up"}
    assert read_uses(admin) == 10
    assert run_sql(database, "SELECT count(*) FROM coupon_uses WHERE returned_at IS NULL") == [(10,)]
    assert run_sql(database, "SELECT count(*) FROM orders") == [(10,)]


def test_parallel_orders_of_one_customer_use_a_coupon_once(admin, app, auth):
    add_coupon(admin, first_order_only=True)
    with ThreadPoolExecutor(16) as pool:
        buyer = Buyer(app, auth, "ada")
        answers = list(pool.map(lambda key: place(buyer, str(key), coupon="TEN"), range(16)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 15
    assert read_uses(admin) == 1


def test_twenty_calls_with_one_key_use_a_coupon_once(buyer, admin):
    add_coupon(admin, limit=5)
    statuses, _ = order_at_once([buyer] * 20, coupon="TEN")
    assert statuses == [201] * 20
    assert read_uses(admin) == 1


def test_a_cancelled_order_gives_its_use_back_once_and_a_refunded_one_does_not(buyer, admin):
    add_coupon(admin, limit=2)
    locations = [buyer.order(key=str(key), coupon="TEN").headers["Location"] for key in range(2)]
    assert buyer.order(key="three", coupon="TEN").json["reason"] == "used_up"
    for location in locations:
        wait_for(lambda location=location: read_status(buyer, location) == "paid")
    for _ in range(3):
        buyer.post(f"{locations[0]}/cancel")
    assert read_uses(admin) == 1
    admin.call("POST", f"{locations[1]}/refund", key="all", json={})
    assert (read_status(buyer, locations[1]), read_uses(admin)) == ("refunded", 1)
    assert buyer.order(key="four", coupon="TEN").status_code == 201


def test_cancelling_and_ordering_at_once_never_exceeds_the_limit(admin, app, auth, database):
    add_coupon(admin, limit=3)
    buyers = [Buyer(app, auth, f"buyer {number}") for number in range(12)]

    def order_and_cancel(buyer):
        for key in range(4):
            placed = place(buyer, str(key), items=[(1, 1)], coupon="TEN")
            if placed.status_code == 201:
                path = f"{placed.headers['Location']}/cancel"
                wait_for(lambda path=path: buyer.post(path).status_code == 200)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(order_and_cancel, buyers))
    wait_for(lambda: run_sql(database, "SELECT FROM order_work") == [])
    left = run_sql(database, "SELECT count(*) FROM orders WHERE coupon IS NOT NULL AND status <> 'cancelled'")
    assert left == [(read_uses(admin),)]
    assert read_uses(admin) == 0
    counted = run_sql(database, "SELECT sum(uses)::int FROM coupon_customers")
    assert counted == [(0,)]


def test_a_declined_payment_gives_the_use_back_before_the_customer_is_answered(buyer, admin):
    add_coupon(admin, limit=1)
    assert buyer.order(card="pm_card_chargeDeclined", coupon="TEN").status_code == 402
    assert buyer.order(key="two", coupon="TEN").status_code == 201


@pytest.mark.usefixtures("quick_retries")
def test_an_order_that_another_thread_finishes_keeps_its_coupon_even_if_that_is_removed(
    buyer, admin, catalog, payments, database
):
    add_coupon(admin)
    catalog.is_away.add("reserve")
    assert buyer.order(coupon="TEN").status_code == 202
    assert admin.call("DELETE", "/coupons/ten").status_code == 204
    catalog.is_away.clear()
    wait_for(lambda: run_sql(database, "SELECT status, amount FROM orders") == [("paid", 1800)])
    assert buyer.order(key="two", coupon="TEN").json["reason"] == "unknown"
    # The code is free again, and the new coupon has no use.
    add_coupon(admin, percent=20)
    assert read_uses(admin) == 0


def test_the_cart_has_a_coupon_that_its_order_uses_and_spends(buyer, admin):
    add_coupon(admin)
    buyer.call("PUT", "/cart/items/1", json={"quantity": 2})
    shown = buyer.call("PUT", "/cart/coupon", json={"code": "ten"}).json
    assert (shown["coupon"], shown["amount"]) == ({"code": "TEN", "problem": None}, 1800)
    assert list_adjustments(shown) == [("discount", "TEN", -200)]
    placed = buyer.order(items=None, cart_version=shown["version"], expected_amount=1800)
    assert (placed.status_code, placed.json["coupon"]) == (201, "TEN")
    assert buyer.get("/cart").json["coupon"] is None


def test_a_coupon_of_the_cart_that_ends_is_a_problem_and_not_in_the_total(buyer, admin):
    add_coupon(admin)
    buyer.call("PUT", "/cart/items/1", json={"quantity": 2})
    buyer.call("PUT", "/cart/coupon", json={"code": "TEN"})
    admin.call("PATCH", "/coupons/TEN", json={"active": False})
    shown = buyer.get("/cart").json
    assert (shown["amount"], shown["coupon"]["problem"]) == (2000, "The coupon TEN has expired.")
    assert buyer.order(items=None).json["reason"] == "ended"
    assert buyer.order(key="two", items=None, coupon=None).json["amount"] == 2000


def test_a_wrong_code_leaves_the_cart_as_it_was(buyer, admin):
    add_coupon(admin, minimum=99_999)
    buyer.call("PUT", "/cart/items/1", json={"quantity": 2})
    before = buyer.get("/cart").json
    for code, reason in (("NONE", "unknown"), ("TEN", "below_minimum")):
        refused = buyer.call("PUT", "/cart/coupon", json={"code": code})
        assert (refused.status_code, refused.json["reason"]) == (409, reason)
    assert buyer.get("/cart").json == before
    assert buyer.call("PUT", "/cart/coupon", json={"code": None}).json == before


def test_a_guests_coupon_and_delivery_come_along(app, auth, admin):
    add_coupon(admin)
    guest = Buyer(app, auth, "a guest", role="guest")
    guest.call("PUT", "/cart/items/1", json={"quantity": 2})
    guest.call("PUT", "/cart/coupon", json={"code": "TEN"})
    guest.call("PUT", "/cart/delivery", json={"country": "US"})
    shown = Buyer(app, auth, "ada", guest_sub="a guest").get("/cart").json
    assert (shown["amount"], shown["coupon"]["code"], shown["delivery"]["country"]) == (1800, "TEN", "US")


def test_an_admin_keeps_the_coupons(admin):
    added = add_coupon(admin, "Spring", amount=500, limit=3)
    assert (added["uses"], added["percent"], added["active"]) == (0, None, True)
    again = admin.call("POST", "/coupons", json={"code": "SPRING", "percent": 5})
    assert (again.status_code, again.json["code"]) == (409, "coupon_exists")
    changed = admin.call("PATCH", "/coupons/spring", json={"amount": None, "percent": 5}).json
    assert changed == {**added, "amount": None, "percent": 5}
    both = admin.call("PATCH", "/coupons/spring", json={"free_shipping": True})
    assert (both.status_code, both.json["errors"][0]["field"]) == (422, "percent")
    assert admin.call("DELETE", "/coupons/SPRING").status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        missing = admin.call(method, "/coupons/spring", json={} if method == "PATCH" else None)
        assert (missing.status_code, missing.json["code"]) == (404, "coupon_not_found")


@pytest.mark.parametrize("code", ["%00", "a%2Fb", "%F0%9F%98%80", "x" * 3000])
def test_a_code_that_no_coupon_can_have_is_not_found(admin, code):
    for resource in ("coupons", "shipping-methods"):
        for method in ("PATCH", "DELETE"):
            answer = admin.call(method, f"/{resource}/{code}", json={} if method == "PATCH" else None)
            assert answer.status_code == 404, (resource, method)
    assert admin.get(f"/coupons/{code}").status_code == 404


def test_coupons_are_generated_in_bulk_and_listed_in_pages(admin, buyer):
    made = admin.call("POST", "/coupons/generate", json={"prefix": "X-", "count": 120, "percent": 50})
    codes = [each["code"] for each in made.json["data"]]
    assert (made.status_code, len(set(codes))) == (201, 120)
    assert all(code.startswith("X-") and len(code) == 12 for code in codes)
    assert {each["limit"] for each in made.json["data"]} == {1}
    assert buyer.order(coupon=codes[0].lower()).json["amount"] == 1000
    add_coupon(admin)
    listed, cursor = [], ""
    while cursor is not None:
        page = admin.get(f"/coupons?q=x-&limit=50&cursor={cursor}" if cursor else "/coupons?q=x-&limit=50")
        listed += [each["code"] for each in page.json["data"]]
        cursor = page.json["next"]
    assert sorted(listed) == sorted(codes)
    assert [each["code"] for each in admin.get("/coupons?limit=1").json["data"]] == ["TEN"]
    assert admin.get("/coupons?q=%25").json["data"] == []


BAD = {
    "nothing off": ({"percent": None}, "percent"),
    "two kinds": ({"amount": 5}, "percent"),
    "101 %": ({"percent": 101}, "percent"),
    "0 %": ({"percent": 0}, "percent"),
    "a float": ({"percent": 2.5}, "percent"),
    "a blank code": ({"code": " "}, "code"),
    "a code of two words": ({"code": "A B"}, "code"),
    "a code with a slash": ({"code": "A/B"}, "code"),
    "a code that is a path": ({"code": ".."}, "code"),
    "ends before it starts": ({"starts": FUTURE.isoformat(), "ends": PAST.isoformat()}, "ends"),
    "no time": ({"ends": "tomorrow"}, "ends"),
    "no limit": ({"limit": 0}, "limit"),
}


@pytest.mark.parametrize(("wrong", "field"), BAD.values(), ids=BAD)
def test_a_wrong_coupon_is_refused(admin, wrong, field):
    answer = admin.call("POST", "/coupons", json={"code": "TEN", "percent": 10, **wrong})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
    assert admin.get("/coupons").json["data"] == []


@pytest.mark.usefixtures("quick_retries")
def test_an_order_without_a_payment_method_that_costs_something_later_is_refused(
    buyer, admin, catalog, database
):
    catalog.prices[1] = 0
    catalog.is_away.add("reserve")
    body = {"items": [{"product_id": 1, "quantity": 1}], "shipping_address": ADDRESS}
    assert buyer.call("POST", "/orders", key="free", json=body).status_code == 202
    catalog.prices[1] = 1000
    catalog.is_away.clear()
    wait_for(lambda: run_sql(database, "SELECT status FROM orders") == [("cancelled",)])
    answer = buyer.call("POST", "/orders", key="free", json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "payment_method_required")
