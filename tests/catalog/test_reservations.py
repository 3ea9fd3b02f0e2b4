"""Internal routes for orders-service: stock for orders, and prices."""

import json
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from catalog.use_cases import reservations as use_cases
from tests.catalog.fake_source import copy_stock, make_overdue, read_counts, reserve
from tests.catalog.upstreams import execute
from tests.waiting import wait_for

# From the bundled sample.
BOARD = {"product_id": 1, "quantity": 2}
POT = {"product_id": 2, "quantity": 1}


class Orders:
    """The requests of orders-service."""

    def __init__(self, client, auth):
        self.client = client
        self.headers = auth.service_bearer("orders-service")

    def reserve(self, order_id, *items, customer="customer-1", **headers):
        return self.client.put(
            f"/internal/reservations/{order_id}",
            json={"customer": customer, "items": items},
            headers={**self.headers, **headers},
        )

    def commit(self, order_id):
        return self.client.post(f"/internal/reservations/{order_id}/commit", headers=self.headers)

    def release(self, order_id):
        return self.client.delete(f"/internal/reservations/{order_id}", headers=self.headers)

    def prices(self, query):
        return self.client.get(f"/internal/prices?{query}", headers=self.headers)


@pytest.fixture
def orders(client, auth):
    return Orders(client, auth)


@pytest.fixture
def stock(client, auth):
    return lambda number: client.get(f"/products/{number}", headers=auth.bearer()).json["stock"]


@pytest.fixture
def order_id():
    return uuid4()


def test_a_reservation_returns_priced_lines_and_reduces_the_stock(orders, stock, order_id):
    before = stock(1)
    answer = orders.reserve(order_id, POT, BOARD)
    assert answer.status_code == 200
    held = answer.json
    assert held.pop("expires_at").endswith("Z")
    board, pot = held.pop("items")
    assert held == {
        "order_id": str(order_id),
        "state": "held",
        "amount": 2 * 6490 + 4850,
        "currency": "USD",
    }
    assert board == {
        "product_id": 1,
        "sku": "KIT-0001",
        "title": "Walnut Chopping Board with Juice Groove",
        "quantity": 2,
        "parent_id": 1,
        "unit_amount": 6490,
        "amount": 12980,
        "tax_class": None,
        "weight_grams": None,
        "category": "kitchen",
    }
    assert pot["product_id"] == 2
    assert stock(1) == before - 2


def test_a_reservation_lasts_fifteen_minutes(orders, order_id, database):
    orders.reserve(order_id, BOARD)
    with database.transaction() as connection:
        left = connection.execute(text("SELECT expires_at - created_at FROM reservations")).scalar()
    assert left.total_seconds() == 15 * 60


def test_a_repeated_request_gets_the_same_response_byte_for_byte(orders, stock, order_id, database):
    first = orders.reserve(order_id, BOARD, POT)
    execute(database, "UPDATE products SET unit_amount = 1, title = 'Renamed' WHERE id = 1")
    one = {"product_id": 1, "quantity": 1}
    before = stock(1)
    for items in ([BOARD, POT], [POT, BOARD], [one, POT, one]):
        again = orders.reserve(order_id, *items)
        assert again.status_code == 200
        assert again.data == first.data
    assert stock(1) == before


@pytest.mark.parametrize("items", [[POT], [BOARD], [BOARD, POT, POT], [BOARD, {**POT, "product_id": 3}]])
def test_other_lines_for_the_same_order_are_a_conflict(orders, order_id, database, items):
    orders.reserve(order_id, BOARD, POT)
    before = read_counts(database)
    answer = orders.reserve(order_id, *items)
    assert (answer.status_code, answer.json["code"]) == (409, "reservation_conflict")
    assert read_counts(database) == before


def test_another_customer_for_the_same_order_is_a_conflict(orders, order_id):
    orders.reserve(order_id, BOARD)
    assert orders.reserve(order_id, BOARD, customer="customer-2").json["code"] == "reservation_conflict"


def test_insufficient_stock_is_rejected_with_its_lines_and_nothing_is_held(orders, stock, order_id, database):
    before = read_counts(database)
    answer = orders.reserve(order_id, POT, {"product_id": 1, "quantity": 9999})
    assert (answer.status_code, answer.json["code"]) == (409, "out_of_stock")
    assert answer.json["lines"] == [{"product_id": 1, "requested": 9999, "available": stock(1)}]
    assert read_counts(database) == before
    assert orders.reserve(order_id, POT).status_code == 200


def test_quantities_of_one_product_are_added_up_before_the_stock_check(orders, stock, order_id):
    half = {"product_id": 1, "quantity": stock(1) // 2 + 1}
    answer = orders.reserve(order_id, half, half)
    assert answer.json["code"] == "out_of_stock"
    assert answer.json["lines"][0]["requested"] == 2 * half["quantity"]


def test_unavailable_products_are_rejected_with_their_lines(orders, order_id, database):
    execute(database, "UPDATE products SET removed_at = now() WHERE id = 2")
    before = read_counts(database)
    answer = orders.reserve(order_id, BOARD, POT, {"product_id": 999, "quantity": 3})
    assert (answer.status_code, answer.json["code"]) == (409, "product_unavailable")
    assert answer.json["lines"] == [
        {"product_id": 2, "requested": 1, "available": 0},
        {"product_id": 999, "requested": 3, "available": 0},
    ]
    assert read_counts(database) == before


def test_repeated_commits_sell_the_held_units_once(orders, order_id, database):
    on_hand, reserved = read_counts(database)[1]
    orders.reserve(order_id, BOARD)
    first = orders.commit(order_id)
    assert first.status_code == 200
    assert first.json == {"order_id": str(order_id), "state": "committed"}
    assert orders.commit(order_id).data == first.data
    assert read_counts(database)[1] == (on_hand - 2, reserved)
    assert orders.reserve(order_id, BOARD).json["code"] == "reservation_closed"


def test_an_order_without_a_reservation_cannot_be_committed(orders, order_id):
    answer = orders.commit(order_id)
    assert (answer.status_code, answer.json["code"]) == (404, "reservation_not_found")


def test_an_overdue_reservation_lapses_and_cannot_be_committed(orders, order_id, database):
    before = read_counts(database)
    orders.reserve(order_id, BOARD, POT)
    assert use_cases.lapse_reservations(database) == 0
    make_overdue(database)
    assert use_cases.lapse_reservations(database) == 1
    assert use_cases.lapse_reservations(database) == 0
    assert read_counts(database) == before
    answer = orders.commit(order_id)
    assert (answer.status_code, answer.json["code"]) == (410, "reservation_lapsed")


def test_a_lapsed_reservation_is_renewed_at_its_first_prices(orders, order_id, database):
    first = orders.reserve(order_id, BOARD).json
    make_overdue(database)
    use_cases.lapse_reservations(database)
    execute(database, "UPDATE products SET unit_amount = 1 WHERE id = 1")
    assert orders.reserve(order_id, POT).json["code"] == "reservation_conflict"
    again = orders.reserve(order_id, BOARD).json
    assert again["expires_at"] > first["expires_at"]
    assert {**again, "expires_at": None} == {**first, "expires_at": None}
    assert orders.commit(order_id).status_code == 200


def test_a_lapsed_reservation_is_renewed_even_if_the_clock_was_set_back(orders, order_id, database):
    orders.reserve(order_id, BOARD)
    held = read_counts(database)
    make_overdue(database)
    use_cases.lapse_reservations(database)
    execute(database, "UPDATE reservations SET expires_at = now() + interval '1 minute'")
    for _ in range(2):
        assert orders.reserve(order_id, BOARD).json["state"] == "held"
        assert read_counts(database) == held


def test_a_lapsed_reservation_is_out_of_stock_if_another_order_took_its_units(
    orders, stock, order_id, database
):
    all_of_it = {"product_id": 1, "quantity": stock(1)}
    orders.reserve(order_id, all_of_it)
    make_overdue(database)
    use_cases.lapse_reservations(database)
    orders.reserve(uuid4(), BOARD)
    assert orders.reserve(order_id, all_of_it).json["code"] == "out_of_stock"
    assert orders.commit(order_id).status_code == 410


def test_an_overdue_reservation_that_has_not_lapsed_yet_is_renewed(orders, order_id, database):
    first = orders.reserve(order_id, BOARD).json
    counts = read_counts(database)
    make_overdue(database)
    assert orders.reserve(order_id, BOARD).json["expires_at"] > first["expires_at"]
    assert use_cases.lapse_reservations(database) == 0
    assert read_counts(database) == counts


def test_the_service_lapses_reservations_in_the_background(orders, order_id, database, start_catalog, stock):
    before = stock(1)
    orders.reserve(order_id, BOARD)
    make_overdue(database)
    start_catalog()
    wait_for(lambda: stock(1) == before)


@pytest.mark.parametrize("committed", [False, True])
def test_repeated_releases_return_held_or_sold_units_once(orders, order_id, database, committed):
    before = read_counts(database)
    orders.reserve(order_id, BOARD, POT)
    if committed:
        orders.commit(order_id)
    first = orders.release(order_id)
    assert first.status_code == 200
    assert first.json == {"order_id": str(order_id), "state": "released"}
    assert orders.release(order_id).data == first.data
    assert read_counts(database) == before
    assert orders.commit(order_id).json["code"] == "reservation_closed"
    assert orders.reserve(order_id, BOARD, POT).json["code"] == "reservation_closed"


def test_releasing_a_lapsed_reservation_returns_no_unit_twice(orders, order_id, database):
    before = read_counts(database)
    orders.reserve(order_id, BOARD)
    make_overdue(database)
    use_cases.lapse_reservations(database)
    assert orders.release(order_id).json["state"] == "released"
    assert read_counts(database) == before
    assert orders.reserve(order_id, BOARD).json["code"] == "reservation_closed"


def test_an_order_released_before_it_reserved_stays_closed(orders, order_id, database):
    before = read_counts(database)
    first = orders.release(order_id)
    assert first.status_code == 200
    assert first.json == {"order_id": str(order_id), "state": "closed"}
    assert orders.release(order_id).data == first.data
    late = orders.reserve(order_id, BOARD)
    assert (late.status_code, late.json["code"]) == (409, "reservation_closed")
    assert (orders.commit(order_id).status_code, read_counts(database)) == (409, before)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE products SET reserved = on_hand + 1",
        "UPDATE products SET on_hand = reserved - 1",
        "UPDATE products SET reserved = -1",
        "UPDATE reservations SET state = 'lost'",
        "UPDATE reservations SET customer = NULL",
        "UPDATE reservation_lines SET quantity = 0",
        "UPDATE reservation_lines SET product_id = 999",
        "DELETE FROM reservations",
    ],
)
def test_database_constraints_reject_inconsistent_rows(orders, order_id, database, statement):
    orders.reserve(order_id, BOARD)
    with pytest.raises(IntegrityError):
        execute(database, statement)


def test_a_copy_of_the_source_keeps_sold_and_held_units(database):
    copy_stock(database, {1: 10, 2: 10, 3: 10})
    sold, held = uuid4(), uuid4()
    reserve(database, sold, {1: 3, 2: 3, 3: 3})
    use_cases.commit_reservation(database, sold)
    reserve(database, held, {1: 2, 2: 2, 3: 2})
    copy_stock(database, {1: 10, 2: 10, 3: 10})
    assert read_counts(database) == {1: (7, 2), 2: (7, 2), 3: (7, 2)}
    copy_stock(database, {1: 14, 2: 9, 3: 0})
    assert read_counts(database) == {1: (11, 2), 2: (6, 2), 3: (2, 2)}
    copy_stock(database, {1: 14, 2: 9, 3: 0})
    assert read_counts(database) == {1: (11, 2), 2: (6, 2), 3: (2, 2)}


def test_a_copy_that_removes_a_product_keeps_its_reservations(database, order_id):
    copy_stock(database, {1: 10, 2: 10})
    reserve(database, order_id, {1: 3, 2: 3})
    copy_stock(database, {2: 10})
    use_cases.commit_reservation(database, order_id)
    copy_stock(database, {1: 10, 2: 10})
    assert read_counts(database) == {1: (7, 0), 2: (7, 0)}


def test_a_product_without_a_source_stock_keeps_its_count_at_the_first_copy(database):
    copy_stock(database, {1: 10})
    execute(database, "UPDATE products SET on_hand = 7, source_on_hand = NULL")
    copy_stock(database, {1: 12})
    assert read_counts(database) == {1: (7, 0)}
    copy_stock(database, {1: 13})
    assert read_counts(database) == {1: (8, 0)}


@pytest.mark.parametrize("state", ["held", "sold"])
def test_stock_changes_do_not_change_the_version_of_a_product(orders, client, auth, order_id, state):
    orders.reserve(order_id, BOARD)
    if state == "sold":
        orders.commit(order_id)
    assert client.get("/products/1", headers=auth.bearer()).json["version"] == 1


def test_prices_are_listed_by_product_without_unavailable_products(orders, stock, order_id):
    orders.reserve(order_id, BOARD)
    answer = orders.prices("ids=2,1,999,2")
    assert answer.status_code == 200
    assert answer.json["currency"] == "USD"
    assert [item["product_id"] for item in answer.json["data"]] == [1, 2]
    assert answer.json["data"][0] == {
        "product_id": 1,
        "sku": "KIT-0001",
        "title": "Walnut Chopping Board with Juice Groove",
        "parent_id": 1,
        "compare_at_amount": None,
        "unit_amount": 6490,
        "stock": stock(1),
        "tax_class": None,
        "weight_grams": None,
        "category": "kitchen",
        "is_only_variant": True,
    }


def test_prices_are_only_returned_in_the_currency_of_their_copy(
    orders, order_id, start_catalog, auth, upstream
):
    held = orders.reserve(order_id, BOARD)
    upstream.failure = (409, b"{}")
    client = start_catalog(currency="JPY", catalog_upstream_url=upstream.url).test_client()
    wait_for(lambda: client.get("/products", headers=auth.bearer()).status_code == 409)
    changed = Orders(client, auth)
    for answer in (changed.reserve(uuid4(), BOARD), changed.prices("ids=1")):
        assert (answer.status_code, answer.json["code"]) == (503, "catalogue_loading")
    assert changed.reserve(order_id, BOARD).data == held.data


@pytest.mark.parametrize(
    "query", ["", "ids=", "ids=one", "ids=1,", "ids=-1", "ids=" + "1," * 100 + "1", "ids=1&colour=red"]
)
def test_an_invalid_price_query_is_rejected(orders, query):
    assert orders.prices(query).status_code == 422


@pytest.mark.parametrize(
    "items",
    [
        [],
        [{"product_id": 1}],
        [{"product_id": 1, "quantity": 0}],
        [{"product_id": 1, "quantity": 10_001}],
        [{"product_id": 2**60, "quantity": 1}],
        [{**BOARD, "only_variant": 1}],
        [BOARD] * 101,
    ],
)
def test_invalid_lines_are_rejected(orders, order_id, items):
    assert orders.reserve(order_id, *items).status_code == 422


def test_an_invalid_order_id_is_404(orders):
    assert orders.commit("17").status_code == 404


def test_a_forwarded_token_must_belong_to_the_customer(orders, auth, order_id, database):
    before = read_counts(database)
    refused = orders.reserve(order_id, BOARD, customer="customer-1", **auth.bearer(sub="customer-2"))
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert read_counts(database) == before
    token = auth.bearer(sub="customer-1", role="guest")
    own = orders.reserve(order_id, BOARD, customer="customer-1", **token)
    assert own.status_code == 200


def test_a_reservation_writes_one_log_record_with_the_order_id(capsys, start_catalog, auth, order_id):
    client = start_catalog().test_client()
    wait_for(lambda: client.get("/products", headers=auth.bearer()).status_code == 200)
    assert Orders(client, auth).reserve(order_id, BOARD).status_code == 200
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    written = [record for record in records if record["attributes"].get("order.id") == str(order_id)]
    assert [record["message"] for record in written] == ["PUT /internal/reservations/<uuid:order_id> 200"]
    assert written[0]["attributes"]["reservation.state"] == "held"
