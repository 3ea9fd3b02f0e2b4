"""What is measured: a row for each call. To measure another, add a row.

Nothing here knows Locust, because importing that patches the standard library of the whole process.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from uuid import uuid4

Product = Mapping[str, Any]
SEED = 1  # The same choices in every run.


@dataclass(frozen=True)
class Call:
    """A call to the shop; the token is added to it."""

    method: str
    path: str
    json: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """Calls of one kind, shared out among the clients; where they end, the measurement ends early.

    An answer that is neither expected nor a refusal is an error.
    """

    name: str
    make_calls: Callable[[Sequence[Product]], Iterator[Call]]
    expected: frozenset[int] = frozenset({200})
    refusals: frozenset[int] = frozenset()
    leaves_work: bool = False  # Whether the shop is still busy with it after the answer.


def list_products(_products: Sequence[Product]) -> Iterator[Call]:
    """Look at the first page, again and again."""
    return cycle([Call("GET", "/products?limit=30")])


def look_at_products(products: Sequence[Product]) -> Iterator[Call]:
    """Look at one product after the other."""
    return cycle([Call("GET", f"/products/{product['id']}") for product in products])


def place_orders(products: Sequence[Product]) -> Iterator[Call]:
    """Order one unit of a product, as often as there are units, in an order that spreads the products."""
    units = [product["id"] for product in products for _ in range(product["stock"])]
    random.Random(SEED).shuffle(units)  # noqa: S311
    for product_id in units:
        yield Call("POST", "/orders", order_of(product_id), {"Idempotency-Key": str(uuid4())})


def order_of(product_id: int) -> dict[str, Any]:
    """Return the body of an order of one unit."""
    return {
        "items": [{"product_id": product_id, "quantity": 1}],
        "payment_method": "pm_card_visa",
        "shipping_address": {
            "name": "Ada Example",
            "line1": "1 Example Street",
            "city": "Exampleton",
            "postal_code": "12345",
            "country": "US",
        },
    }


SCENARIOS = (
    Scenario("GET /products?limit=30", list_products),
    Scenario("GET /products/{id}", look_at_products),
    Scenario(
        "POST /orders",
        place_orders,
        # 202 is an order that was taken and finishes by itself.
        expected=frozenset({201, 202}),
        refusals=frozenset({409}),
        leaves_work=True,
    ),
)
