"""Scenarios: the calls and visits of customers, and the load that they put on a shop."""

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import requests

from bench.errors import CannotMeasure
from bench.load import TIMEOUT, Answer, Call, Load, Plan, Script, run_load
from bench.shop import Shop, enter, say
from bench.statistics import quantile
from bench.usage import subtract

Product = Mapping[str, Any]
Guest = Mapping[str, str]  # The headers of a guest.
# The calls of a new guest one after the other, measured as one. A call that is not answered with 200 or 201
# ends the visit, and its answer is the visit's.
Visit = tuple[Call, ...]
SEED = 1  # The same choices in every run.
MOST_IN_CART = 10  # Products, a usual number for a full cart.
PAGE = 100
FULL = 0.85  # Of a core; the rest is lost while one part waits for another.
MANY_PROCESSES = frozenset({"gateway", "postgres"})
ADDRESS = {
    "name": "Ada Example",
    "line1": "1 Example Street",
    "city": "Exampleton",
    "region": "IL",
    "postal_code": "62701",
    "country": "US",
}
# Codes of a shipping method and a coupon.
METHOD, COUPON = "bench", "BENCH"
GUEST = Call("POST", "/auth/guest", name="POST /auth/guest")


@dataclass(frozen=True)
class Scenario:
    """Calls or visits of one kind, shared by the clients; the measurement ends early when they run out.

    An answer that is neither expected nor a refusal is an error.
    """

    name: str
    make_calls: Callable[[Sequence[Product]], Iterator[Call | Visit]]
    expected: frozenset[int] = frozenset({200})
    refusals: frozenset[int] = frozenset()
    leaves_work: bool = False  # Whether the shop still works on it after the answer.
    # A call that each client makes beforehand; the id in its answer is `{id}` in the client's paths.
    make_first: Callable[[Sequence[Product]], Iterator[Call]] | None = None


def list_products(_products: Sequence[Product]) -> Iterator[Call]:
    """Read the first page of products, again and again."""
    return cycle([Call("GET", "/products?limit=30")])


def read_products(products: Sequence[Product]) -> Iterator[Call]:
    """Read the products in turn."""
    return cycle([Call("GET", f"/products/{product['id']}") for product in products])


def search_products(products: Sequence[Product]) -> Iterator[Call]:
    """Search for two words of titles, so that a search rarely repeats while the gateway caches it."""
    words = sorted({word for product in products for word in product["title"].lower().split()})
    choice = random.Random(SEED)  # noqa: S311  # The same in every run.
    while True:
        yield Call("GET", f"/products?{urlencode({'q': ' '.join(choice.sample(words, 2))})}")


def read_order(_products: Sequence[Product]) -> Iterator[Call]:
    """Read the client's own order, again and again."""
    return cycle([Call("GET", "/orders/{id}")])


def update_cart(products: Sequence[Product]) -> Iterator[Call]:
    """Add one or two units of each product in turn to the cart."""
    paths = [f"/cart/items/{product['id']}" for product in products[:MOST_IN_CART]]
    return cycle([Call("PUT", path, {"quantity": units}) for units in (1, 2) for path in paths])


def place_orders(products: Sequence[Product]) -> Iterator[Call]:
    """Order each unit in stock once, in an order that spreads the products."""
    units = [product["id"] for product in products for _ in range(product["stock"])]
    random.Random(SEED).shuffle(units)  # noqa: S311  # The same in every run.
    for product_id in units:
        yield _order(product_id)


def check_out(products: Sequence[Product]) -> Iterator[Visit]:
    """Add one unit to the cart, and order the cart."""
    for product in cycle(products):
        path = f"/cart/items/{product['id']}"
        yield Call("PUT", path, {"quantity": 1}, name="PUT /cart/items/{id}"), _order()


def check_out_one_product(products: Sequence[Product]) -> Iterator[Visit]:
    """Check out with the first product only."""
    return check_out(products[:1])


def check_out_directly(products: Sequence[Product]) -> Iterator[Visit]:
    """Order one unit of a product without a cart."""
    for product in cycle(products):
        yield (_order(product["id"]),)


def check_out_with_totals(products: Sequence[Product]) -> Iterator[Visit]:
    """Order one unit with the shipping method and the coupon of the bench."""
    for product in cycle(products):
        email = f"{uuid4().hex}@example.com"
        yield (_order(product["id"], shipping_method=METHOD, coupon=COUPON, email=email),)


def _order(product_id: int | None = None, **choice: str) -> Call:
    """Return the order of one unit, or of the cart, under a new key."""
    body: dict[str, Any] = {
        "payment_method": "pm_card_visa",
        "shipping_address": ADDRESS,
        "email": "ada@example.com",
        **choice,
    }
    if product_id is not None:
        body["items"] = [{"product_id": product_id, "quantity": 1}]
    return Call("POST", "/orders", body, {"Idempotency-Key": str(uuid4())}, "POST /orders")


# Add a line to measure another call.
CALLS = (
    Scenario("GET /products?limit=30", list_products),
    Scenario("GET /products/{id}", read_products),
    Scenario("GET /products?q={words}", search_products),
    Scenario("GET /orders/{id}", read_order, make_first=place_orders),
    Scenario("PUT /cart/items/{id}", update_cart),
    # 202 is an accepted order that the shop finishes later.
    Scenario("POST /orders", place_orders, frozenset({201, 202}), frozenset({409}), leaves_work=True),
)
# A checkout counts only if the answer confirms the order.
CHECKOUT = Scenario("checkout", check_out, frozenset({201}), leaves_work=True)
HOT_PRODUCT = Scenario("checkout, one product", check_out_one_product, frozenset({201}), leaves_work=True)
DIRECT = Scenario("guest and order", check_out_directly, frozenset({201}), leaves_work=True)
WITH_TOTALS = Scenario("guest and order", check_out_with_totals, frozenset({201}), leaves_work=True)


def measure_load(shop: Shop, scenario: Scenario, clients: int, seconds: float) -> dict[str, Any]:
    """Return a scenario's numbers, with the processor time of each part of the shop; raises CannotMeasure."""
    say(f"{scenario.name}, {clients} client{'s' if clients > 1 else ''} …")
    before = shop.measure_cpu()
    warm_up = min(2.0, seconds / 4)
    result = put_load(shop.url, scenario, clients, warm_up, seconds)
    result["settled"] = shop.settle() if scenario.leaves_work else None
    result["cpu"] = subtract(shop.measure_cpu(), before)
    # The parts also worked during the warm-up and until the orders were finished.
    lasted = warm_up + result["seconds"] + (result["settled"] or 0)
    result["cores"] = {part: round(spent / lasted, 2) for part, spent in result["cpu"].items()}
    result["bound"] = name_bound(result["cores"], result["load_cpu"], len(os.sched_getaffinity(0)))
    return result


def put_load(url: str, scenario: Scenario, clients: int, warm_up: float, seconds: float) -> dict[str, Any]:
    """Return the numbers of the answers after the warm-up, in milliseconds and calls per second.

    `load_cpu` is the share of one core that the load took. Raises CannotMeasure.
    """
    plan = Plan(url, warm_up + seconds, partial(_make_scripts, scenario, clients))
    [found] = run_load(plan)
    lasted = max(0.0, found.seconds - warm_up)
    times: dict[str, list[float]] = {}
    counted = Counter[int]()
    for answer in found.answers:
        if not warm_up <= answer.second <= plan.seconds:
            continue
        if answer.name == scenario.name:
            counted[answer.status] += 1
        if answer.name != scenario.name or answer.status in scenario.expected:
            times.setdefault(answer.name, []).append(answer.milliseconds)
    good = sum(counted[status] for status in scenario.expected)
    refused = sum(counted[status] for status in scenario.refusals)
    steps = {name: {"p50": quantile(each, 0.5), "p99": quantile(each, 0.99)} for name, each in times.items()}
    return {
        "scenario": scenario.name,
        "clients": clients,
        "seconds": round(lasted, 6),
        "ended_early": found.seconds < plan.seconds,
        "rate": round(good / lasted, 1) if lasted else 0.0,
        **steps.pop(scenario.name, {"p50": None, "p99": None}),
        "good": good,
        "refused": refused,
        "errors": counted.total() - good - refused,
        "statuses": {str(status): number for status, number in sorted(counted.items())},
        "bad_statuses": sorted(counted.keys() - scenario.expected - scenario.refusals),
        "load_cpu": round(found.cpu / found.seconds, 2),
        "steps": steps,
    }


def name_bound(cores: Mapping[str, float], load_cpu: float, count: int) -> str:
    """Return what limits the rate, judged by the share of a core that each part used."""
    busiest = max(cores, key=lambda part: cores[part])
    if load_cpu >= FULL:
        return "the load itself"
    if sum(cores.values()) + load_cpu >= FULL * count:
        return f"all cores, most of it {busiest}"
    # A service runs one thread at a time.
    if cores[busiest] >= FULL and busiest not in MANY_PROCESSES:
        return f"one process of {busiest}"
    return "waiting"


def _make_scripts(scenario: Scenario, clients: int, load: Load) -> list[Script]:
    """Start a guest session for each client, make its first call, and return its script."""
    url = load.plan.url
    try:
        guests = [enter(url) for _ in range(clients)]
        products = _read_plain_products(url, guests[0])
        first = scenario.make_first(products) if scenario.make_first else None
        made = [_make(url, next(first), guest) if first else "" for guest in guests]
    except (requests.RequestException, LookupError, ValueError) as error:
        raise CannotMeasure(f"A client could not come in: {error!r}") from error
    follow = partial(_follow, scenario.name, scenario.make_calls(products), load)
    return [follow(guest, each) for guest, each in zip(guests, made, strict=True)]


def _read_plain_products(url: str, guest: Guest) -> list[Product]:
    """Return the products with one variant."""
    products: list[Product] = []
    path: str | None = f"/products?limit={PAGE}"
    while path:
        page = requests.get(url + path, headers=guest, timeout=TIMEOUT).json()
        # An order must name the variant of a product with several; a commit before variants has no count.
        products += [each for each in page["data"] if each.get("variant_count", 1) == 1]
        path = f"/products?limit={PAGE}&cursor={page['next']}" if page["next"] else None
    return products


def _make(url: str, call: Call, guest: Guest) -> str:
    headers = {**call.headers, **guest}
    answer = requests.request(call.method, url + call.path, json=call.json, headers=headers, timeout=TIMEOUT)
    if not answer.ok:
        raise ValueError(
            f"{call.method} {call.path} is answered with {answer.status_code} {answer.text[:200]}"
        )
    return str(answer.json()["id"])


def _follow(name: str, calls: Iterator[Call | Visit], load: Load, guest: Guest, made: str) -> Script:
    for call in calls:
        if isinstance(call, Call):
            yield _prepare(replace(call, name=name, path=call.path.replace("{id}", made)), guest)
        else:
            yield from _visit(name, call, load)


def _visit(name: str, visit: Visit, load: Load) -> Script:
    """Make the calls of a visit, and record one answer for all of them."""
    answer: Answer
    answer, body = yield GUEST
    spent = answer.milliseconds
    if answer.status == 201:
        guest = {"Authorization": f"Bearer {json.loads(body)['access_token']}"}
        for call in visit:
            answer, _ = yield _prepare(call, guest)
            spent += answer.milliseconds
            if answer.status not in {200, 201}:
                break
    load.answers.append(Answer(name, answer.status, spent, answer.second))


def _prepare(call: Call, guest: Guest) -> Call:
    # Browsers also request gzip.
    return replace(call, headers={"Accept-Encoding": "gzip", **call.headers, **guest})
