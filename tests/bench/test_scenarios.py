"""The scenarios, and the counts of answers of a fake shop."""

import json
from collections import Counter
from itertools import islice
from typing import Any

import pytest

from bench.errors import CannotMeasure
from bench.scenarios import (
    CALLS,
    CHECKOUT,
    DIRECT,
    HOT_PRODUCT,
    check_out,
    check_out_one_product,
    list_products,
    name_bound,
    place_orders,
    put_load,
    read_products,
    search_products,
    update_cart,
)
from tests.conftest import FakeServer, send_json

[ORDERS] = [scenario for scenario in CALLS if scenario.name == "POST /orders"]
PRODUCTS = [
    {"id": 1, "stock": 3, "title": "Oak Board"},
    {"id": 2, "stock": 0, "title": "Steel Pan"},
    {"id": 3, "stock": 5, "title": "Oak Desk"},
]


def test_orders_buy_each_unit_once() -> None:
    bodies = [call.json for call in place_orders(PRODUCTS)]
    assert Counter(body["items"][0]["product_id"] for body in bodies if body) == {1: 3, 3: 5}


def test_orders_are_spread_over_the_products() -> None:
    stock = [{"id": number, "stock": 100} for number in range(10)]
    first = [call.json["items"][0]["product_id"] for call in islice(place_orders(stock), 100) if call.json]
    assert set(first) == set(range(10))


def test_each_order_has_a_new_key() -> None:
    keys = [call.headers["Idempotency-Key"] for call in place_orders(PRODUCTS)]
    assert len(set(keys)) == len(keys) == 8


def test_reading_cycles_through_all_products() -> None:
    assert [call.path for call in islice(read_products(PRODUCTS), 4)] == [
        "/products/1",
        "/products/2",
        "/products/3",
        "/products/1",
    ]
    assert {call.path for call in islice(list_products(PRODUCTS), 3)} == {"/products?limit=30"}


def test_each_search_has_two_words_of_titles() -> None:
    paths = [call.path for call in islice(search_products(PRODUCTS), 20)]
    assert {path.partition("?q=")[0] for path in paths} == {"/products"}
    assert {word for path in paths for word in path.partition("?q=")[2].split("+")} == {
        *("oak", "board", "steel", "pan", "desk")
    }
    assert len(set(paths)) > 10


def test_a_cart_is_filled_with_different_products_and_then_changed() -> None:
    changes = [(call.path[-1], call.json) for call in islice(update_cart(PRODUCTS), 6)]
    assert changes == [(product, {"quantity": units}) for units in (1, 2) for product in "123"]


def test_a_visit_buys_one_unit_through_the_cart_under_a_new_key() -> None:
    visits = list(islice(check_out(PRODUCTS), 4))
    assert [visit[0].path for visit in visits] == [
        "/cart/items/1",
        "/cart/items/2",
        "/cart/items/3",
        "/cart/items/1",
    ]
    assert all("items" not in (visit[1].json or {}) for visit in visits)
    assert len({visit[1].headers["Idempotency-Key"] for visit in visits}) == 4


def test_all_visits_may_buy_the_same_product() -> None:
    visits = islice(check_out_one_product(PRODUCTS), 3)
    assert {visit[0].path for visit in visits} == {"/cart/items/1"}


def test_scenarios_have_different_names() -> None:
    scenarios = (*CALLS, CHECKOUT, HOT_PRODUCT, DIRECT)
    assert len({scenario.name for scenario in scenarios}) == len(scenarios)


class FakeShop:
    """A shop of two products that answers orders with the given statuses, and then with 201."""

    def __init__(self, server: FakeServer, *statuses: int) -> None:
        self.url = server.url
        self.guests = 0
        self.tokens: set[str] = set()
        self.put: list[str] = []
        self._statuses = iter(statuses)
        server.answer = self.answer

    def answer(self, handler: Any, _body: bytes) -> None:
        """Answer a call."""
        if handler.path == "/auth/guest":
            self.guests += 1
            send_json(handler, json.dumps({"access_token": f"token-{self.guests}"}).encode(), 201)
        elif handler.path.startswith("/cart/"):
            self.put.append(handler.headers["Authorization"])
            send_json(handler, b"{}", 200 if handler.path.endswith("/1") else 404)
        elif handler.path == "/orders":
            token = handler.headers["Authorization"]
            self.tokens.add(token)
            send_json(handler, json.dumps({"id": f"of-{token[7:]}"}).encode(), next(self._statuses, 201))
        elif handler.path.startswith("/orders/"):
            is_own = handler.path == f"/orders/of-{handler.headers['Authorization'][7:]}"
            send_json(handler, b"{}", 200 if is_own else 404)
        elif "cursor" in handler.path:
            send_json(handler, b'{"data": [{"id": 2, "stock": 30}], "next": null}')
        else:
            send_json(handler, b'{"data": [{"id": 1, "stock": 20}], "next": "c"}')


@pytest.mark.long  # With the bench itself.
def test_a_load_counts_expected_refused_and_wrong_answers(fake_server: FakeServer) -> None:
    shop = FakeShop(fake_server, 202, 409, 409, 500, 422)
    load = put_load(shop.url, ORDERS, clients=3, warm_up=0.0, seconds=20.0)
    # Fifty units in two pages of products; the measurement ends with them, long before its 20 s.
    assert load["ended_early"]
    assert load["seconds"] < 15
    assert load["statuses"] == {"201": 45, "202": 1, "409": 2, "422": 1, "500": 1}
    assert (load["good"], load["refused"], load["errors"]) == (46, 2, 2)
    assert load["bad_statuses"] == [422, 500]
    assert load["rate"] == pytest.approx(46 / load["seconds"], rel=0.02, abs=0.1)
    assert 0 < load["p50"] <= load["p99"]
    assert load["load_cpu"] > 0
    assert shop.tokens == {"Bearer token-1", "Bearer token-2", "Bearer token-3"}


@pytest.mark.long  # With the bench itself.
def test_each_visit_has_a_new_guest_and_ends_at_a_refused_call(fake_server: FakeServer) -> None:
    shop = FakeShop(fake_server)
    load = put_load(shop.url, CHECKOUT, clients=2, warm_up=0.0, seconds=2.0)
    # Only product 1 exists, and product 2 is not found.
    assert load["statuses"].keys() == {"201", "404"}
    assert load["good"] == load["statuses"]["201"] > 0
    assert len(set(shop.put)) == len(shop.put)
    assert load["steps"].keys() == {"POST /auth/guest", "PUT /cart/items/{id}", "POST /orders"}
    assert load["p50"] >= load["steps"]["POST /orders"]["p50"]


@pytest.mark.long  # With the bench itself.
def test_a_load_lasts_its_seconds_and_each_client_reads_its_own_order(fake_server: FakeServer) -> None:
    shop = FakeShop(fake_server)
    [own_order] = [scenario for scenario in CALLS if scenario.name == "GET /orders/{id}"]
    load = put_load(shop.url, own_order, clients=3, warm_up=0.0, seconds=0.5)
    assert not load["ended_early"]
    assert load["seconds"] == 0.5
    assert load["statuses"] == {"200": load["good"]}
    assert load["good"] > 0
    assert shop.tokens == {"Bearer token-1", "Bearer token-2", "Bearer token-3"}


@pytest.mark.long  # With the bench itself.
def test_the_warm_up_is_not_counted(fake_server: FakeServer) -> None:
    load = put_load(FakeShop(fake_server).url, ORDERS, clients=1, warm_up=20.0, seconds=0.2)
    # All fifty units were sold during the warm-up.
    assert load["statuses"] == {}


@pytest.mark.long  # With the bench itself.
def test_a_load_on_a_closed_port_is_an_error() -> None:
    with pytest.raises(CannotMeasure, match="A client could not come in"):
        put_load("http://127.0.0.1:9", ORDERS, clients=1, warm_up=0.0, seconds=20.0)


@pytest.mark.parametrize(
    ("load", "cores", "bound"),
    [
        (0.95, {"gateway": 0.3, "catalog-service": 0.5}, "the load itself"),
        (0.2, {"postgres": 0.6, "catalog-service": 1.0}, "all cores, most of it catalog-service"),
        (0.1, {"postgres": 0.2, "catalog-service": 0.9}, "one process of catalog-service"),
        (0.1, {"postgres": 0.9, "catalog-service": 0.2}, "waiting"),
    ],
)
def test_the_bound_of_a_load_is_the_busiest_part(load: float, cores: dict[str, float], bound: str) -> None:
    assert name_bound(cores, load, count=2) == bound
