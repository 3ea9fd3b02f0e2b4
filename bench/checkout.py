"""Full checkouts: a guest comes in, puts something into the cart, and has the order confirmed.

Three shops: one as it is, one in which everybody buys the same product, and one with a million past orders.
For each the processor time of a checkout is told by part, the finishing after the answer included.
"""

from collections.abc import Mapping
from typing import Any

from bench.loads import measure_load
from bench.past import write_past_orders
from bench.report import number, table
from bench.scenarios import CHECKOUT, HOT_PRODUCT, Scenario
from bench.shop import Shop, say

CLIENTS = (1, 8, 32)
SOME = 8  # Clients of the other shops.
PAST_ORDERS = 1_000_000
ENOUGH = 1_000_000  # Units of each product, so that none ends.


def measure(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return the numbers of each of the three."""
    shop.run_sql("catalog", "UPDATE products SET on_hand = %(n)s, source_on_hand = %(n)s", n=ENOUGH)
    loads = [
        *(_measure(shop, CHECKOUT, clients, seconds, "checkout") for clients in CLIENTS),
        _measure(shop, HOT_PRODUCT, SOME, seconds, "checkout, one product for all"),
    ]
    say(f"Writing {PAST_ORDERS} past orders …")
    write_past_orders(shop, PAST_ORDERS)
    loads.append(_measure(shop, CHECKOUT, SOME, seconds, f"checkout after {PAST_ORDERS} orders"))
    return {"loads": loads}


def _measure(shop: Shop, scenario: Scenario, clients: int, seconds: float, title: str) -> dict[str, Any]:
    count = "SELECT count(*) FROM orders"
    orders = shop.run_sql("orders", count)
    load = measure_load(shop, scenario, clients, seconds)
    orders = shop.run_sql("orders", count) - orders
    # Of all orders, also those of the warm-up, since what finishes them goes on all the while.
    return {
        **load,
        "title": title,
        "orders": orders,
        "cpu_ms": {part: round(1000 * spent / max(orders, 1), 2) for part, spent in load["cpu"].items()},
    }


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the tables."""
    loads = results["loads"]
    parts = list(loads[0]["cpu_ms"])
    steps = list(dict.fromkeys(step for load in loads for step in load["steps"]))
    return [
        "Full checkouts: in as a guest, one unit into the cart, the order confirmed.",
        "",
        *table(
            ["shop", "clients", "a second", "p50 ms", "p99 ms", "errors", "settled", "bound by"],
            [
                [
                    load["title"],
                    str(load["clients"]),
                    f"{load['rate']:g}",
                    number(load["p50"]),
                    number(load["p99"]),
                    str(load["errors"] + load["refused"]),
                    f"{load['settled']:g} s",
                    load["bound"],
                ]
                for load in loads
            ],
        ),
        "",
        "Of that, in ms (p50, p99):",
        "",
        *table(
            ["shop", "clients", *steps],
            [
                [
                    load["title"],
                    str(load["clients"]),
                    *(_write_step(load["steps"].get(step)) for step in steps),
                ]
                for load in loads
            ],
        ),
        "",
        "Processor time of a checkout in ms of one core, with its finishing:",
        "",
        *table(
            ["shop", "clients", *parts, "all"],
            [
                [
                    load["title"],
                    str(load["clients"]),
                    *(f"{load['cpu_ms'][part]:.2f}" for part in parts),
                    f"{sum(load['cpu_ms'].values()):.2f}",
                ]
                for load in loads
            ],
        ),
    ]


def _write_step(times: Mapping[str, float | None] | None) -> str:
    return f"{number(times['p50'])}, {number(times['p99'])}" if times else ""
