"""How many holds a second one process makes: on one product that all want, and on many."""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any
from uuid import uuid4

from bench.catalog import Call, Catalog
from bench.report import table_of

PRODUCTS = 10_000
SEED = 1
CLIENTS = (1, 8, 16)

FILL = """
INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand, source_on_hand)
SELECT 9000000000000000 + n, 'B-' || n, 'Thing ' || n, 'bench', 100, '', 1000000000, 1000000000
FROM generate_series(1, 10000) AS n
"""
FIRST = 9_000_000_000_000_001


def hold_one(_client: int) -> Iterator[Call]:
    """Hold a unit of the same product, for one order after the other."""
    for _ in count():
        yield hold([FIRST])


def hold_any(client: int) -> Iterator[Call]:
    """Hold a unit of any product."""
    choice = random.Random(SEED + client)  # noqa: S311
    for _ in count():
        yield hold([FIRST + choice.randrange(PRODUCTS)])


def hold_basket(client: int) -> Iterator[Call]:
    """Hold three products of a hundred that are popular."""
    choice = random.Random(SEED + client)  # noqa: S311
    for _ in count():
        yield hold([FIRST + number for number in choice.sample(range(100), 3)])


def buy_one(client: int) -> Iterator[Call]:
    """Hold a unit of any product and sell it; each of the two is a call."""
    for method, path, body in hold_any(client):
        yield method, path, body
        yield "POST", f"{path}/commit", None


def hold(numbers: Sequence[int]) -> Call:
    """Return the call that holds a unit of each product for a new order."""
    items = [{"product_id": number, "quantity": 1} for number in numbers]
    return "PUT", f"/internal/reservations/{uuid4()}", {"customer": "bench", "items": items}


SCENARIOS = {
    "hold one hot product": hold_one,
    f"hold any of {PRODUCTS} products": hold_any,
    "hold three of 100 products": hold_basket,
    "hold and sell, two calls": buy_one,
}


def measure(catalog: Catalog, seconds: float) -> dict[str, Any]:
    """Return a row for each scenario and number of clients."""
    catalog.execute(FILL)
    rows = [
        {"scenario": name, **measure_one(catalog, name, clients, seconds)}
        for name in SCENARIOS
        for clients in CLIENTS
    ]
    return {"rows": rows}


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the table."""
    return ["Holding stock, by one process of catalog-service:", "", *table_of(results["rows"])]


def measure_one(catalog: Catalog, name: str, clients: int, seconds: float) -> dict[str, Any]:
    """Return the numbers of one scenario."""
    make_calls = SCENARIOS[name]
    warm_up = [make_calls(client) for client in range(clients)]
    catalog.measure(warm_up, min(1.0, seconds / 4), frozenset({200}))
    return catalog.measure([make_calls(client) for client in range(clients)], seconds, frozenset({200}))
