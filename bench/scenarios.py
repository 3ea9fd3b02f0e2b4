"""What is measured: a row for each call. To measure another, add a row.

Nothing here knows Locust, because importing that patches the standard library of the whole process.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

Product = Mapping[str, Any]
SEED = 1  # The same choices in every run.
MOST_IN_CART = 10  # Products, as many as somebody may well have.


@dataclass(frozen=True)
class Call:
    """A call to the shop; the token is added to it."""

    method: str
    path: str
    json: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    route: str = ""  # Of a path that is different each time.


@dataclass(frozen=True)
class Visit:
    """Calls that somebody makes who has just come in as a guest, one after the other, measured as one.

    A call that is not answered with 200 or 201 ends the visit, and is its answer.
    """

    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Scenario:
    """Calls or visits of one kind, shared out among the clients; where they end, the measurement ends early.

    An answer that is neither expected nor a refusal is an error.
    """

    name: str
    make_calls: Callable[[Sequence[Product]], Iterator[Call | Visit]]
    expected: frozenset[int] = frozenset({200})
    refusals: frozenset[int] = frozenset()
    leaves_work: bool = False  # Whether the shop is still busy with it after the answer.
    # What each client does before, one call each; the id of what that has made is `{id}` in its paths.
    make_first: Callable[[Sequence[Product]], Iterator[Call]] | None = None


def list_products(_products: Sequence[Product]) -> Iterator[Call]:
    """Look at the first page, again and again."""
    return cycle([Call("GET", "/products?limit=30")])


def look_at_products(products: Sequence[Product]) -> Iterator[Call]:
    """Look at one product after the other."""
    return cycle([Call("GET", f"/products/{product['id']}") for product in products])


def search_products(products: Sequence[Product]) -> Iterator[Call]:
    """Look for two words of titles, in an order in which hardly any question comes again while it is kept."""
    words = sorted({word for product in products for word in product["title"].lower().split()})
    choice = random.Random(SEED)  # noqa: S311
    while True:
        yield Call("GET", f"/products?{urlencode({'q': ' '.join(choice.sample(words, 2))})}")


def look_at_order(_products: Sequence[Product]) -> Iterator[Call]:
    """Look at one's own order, again and again."""
    return cycle([Call("GET", "/orders/{id}")])


def update_cart(products: Sequence[Product]) -> Iterator[Call]:
    """Put one product after the other into the cart, one or two units of it."""
    paths = [f"/cart/items/{product['id']}" for product in products[:MOST_IN_CART]]
    return cycle([Call("PUT", path, {"quantity": units}) for units in (1, 2) for path in paths])


def place_orders(products: Sequence[Product]) -> Iterator[Call]:
    """Order one unit of a product, as often as there are units, in an order that spreads the products."""
    units = [product["id"] for product in products for _ in range(product["stock"])]
    random.Random(SEED).shuffle(units)  # noqa: S311
    for product_id in units:
        yield Call("POST", "/orders", order_of(product_id), {"Idempotency-Key": str(uuid4())})


def check_out(products: Sequence[Product]) -> Iterator[Visit]:
    """Come in as a guest, put one unit into the cart, and order the cart."""
    for product in cycle(products):
        yield _check_out(product["id"])


def check_out_directly(products: Sequence[Product]) -> Iterator[Visit]:
    """Come in as a guest, and order one unit of a product without a cart."""
    for product in cycle(products):
        key = {"Idempotency-Key": str(uuid4())}
        yield Visit((Call("POST", "/orders", order_of(product["id"]), key),))


def check_out_one_product(products: Sequence[Product]) -> Iterator[Visit]:
    """Do the same, everybody with the first product."""
    while True:
        yield _check_out(products[0]["id"])


def _check_out(product_id: int) -> Visit:
    key = {"Idempotency-Key": str(uuid4())}
    return Visit(
        (
            Call("PUT", f"/cart/items/{product_id}", {"quantity": 1}, route="/cart/items/{id}"),
            Call("POST", "/orders", order_of_cart(), key),
        )
    )


def order_of(product_id: int) -> dict[str, Any]:
    """Return the body of an order of one unit."""
    return {"items": [{"product_id": product_id, "quantity": 1}], **order_of_cart()}


def order_of_cart() -> dict[str, Any]:
    """Return the body of an order of what is in the cart."""
    return {
        "payment_method": "pm_card_visa",
        "shipping_address": {
            "name": "Ada Example",
            "line1": "1 Example Street",
            "city": "Exampleton",
            "postal_code": "12345",
            "country": "US",
        },
    }


CALLS = (
    Scenario("GET /products?limit=30", list_products),
    Scenario("GET /products/{id}", look_at_products),
    Scenario("GET /products?q={words}", search_products),
    Scenario("GET /orders/{id}", look_at_order, make_first=place_orders),
    Scenario("PUT /cart/items/{id}", update_cart),
    Scenario(
        "POST /orders",
        place_orders,
        # 202 is an order that was taken and finishes by itself.
        expected=frozenset({201, 202}),
        refusals=frozenset({409}),
        leaves_work=True,
    ),
)
# An order has to be confirmed when the answer comes; only then it counts.
CHECKOUT = Scenario("checkout", check_out, expected=frozenset({201}), leaves_work=True)
HOT_PRODUCT = Scenario(
    "checkout, one product", check_out_one_product, expected=frozenset({201}), leaves_work=True
)
DIRECT = Scenario("guest and order", check_out_directly, expected=frozenset({201}), leaves_work=True)
SCENARIOS = (*CALLS, CHECKOUT, HOT_PRODUCT, DIRECT)
