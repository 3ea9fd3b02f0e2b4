"""Full checkouts: a guest comes in, puts something into the cart, and has the order confirmed.

Three shops: one as it is, one in which everybody buys the same product, and one with a million past orders.
For each the processor time of a checkout is told by part, the finishing after the answer included. With
CONTROL, a commit, a guest's checkout is measured beside that one's.
"""

import math
import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.loads import measure_load
from bench.past import write_past_orders
from bench.report import number, table
from bench.scenarios import CHECKOUT, DIRECT, HOT_PRODUCT, Scenario
from bench.shop import Shop, checked_out, fresh_folder, running_shop, say

CLIENTS = (1, 8, 32)
SOME = 8  # Clients of the other shops.
PAST_ORDERS = 1_000_000
ENOUGH = 1_000_000  # Units of each product, so that none ends.
STOCK_UP = "UPDATE products SET on_hand = %(n)s, source_on_hand = %(n)s"
ROUNDS = 3  # Of each shop in turn, beside another commit's.
HERE = "here"


def measure(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return the numbers of each of the three."""
    beside = {}
    if commit := os.environ.get("CONTROL"):
        beside = {"beside": measure_beside(shop, commit, seconds)}
    shop.run_sql("catalog", STOCK_UP, n=ENOUGH)
    loads = [
        *(_measure(shop, CHECKOUT, clients, seconds, "checkout") for clients in CLIENTS),
        _measure(shop, HOT_PRODUCT, SOME, seconds, "checkout, one product for all"),
    ]
    say(f"Writing {PAST_ORDERS} past orders …")
    write_past_orders(shop, PAST_ORDERS)
    loads.append(_measure(shop, CHECKOUT, SOME, seconds, f"checkout after {PAST_ORDERS} orders"))
    return {"loads": loads, **beside}


def measure_beside(shop: Shop, commit: str, seconds: float) -> dict[str, Any]:
    """Return what a guest's checkout takes here and in another commit's shop, medians of rounds in turn."""
    with (
        fresh_folder() as folder,
        checked_out(folder, commit) as home,
        running_shop(folder, home=home) as control,
    ):
        shops = {commit: control, HERE: shop}
        for each in shops.values():
            each.run_sql("catalog", STOCK_UP, n=ENOUGH)
        rounds = [
            {"shop": name, **_measure(each, DIRECT, clients, seconds, name)}
            for clients in CLIENTS
            for _ in range(ROUNDS)
            for name, each in shops.items()
        ]
    return {
        "commit": commit,
        "rows": [sum_up(rounds, name, clients) for clients in CLIENTS for name in shops],
    }


def sum_up(rounds: Sequence[Mapping[str, Any]], name: str, clients: int) -> dict[str, Any]:
    """Return the medians of a shop's rounds with so many clients; the rate ends with the last order paid."""
    ours = [each for each in rounds if (each["shop"], each["clients"]) == (name, clients)]
    return {
        "shop": name,
        "clients": clients,
        "cpu_ms": {
            part: statistics.median(each["cpu_ms"][part] for each in ours) for part in ours[0]["cpu_ms"]
        },
        "rate": statistics.median(each["good"] / (each["seconds"] + each["settled"]) for each in ours),
        "p99": statistics.median(each["steps"]["POST /orders"]["p99"] or math.nan for each in ours),
        "settled": max(each["settled"] for each in ours),
        "errors": sum(each["errors"] + each["refused"] for each in ours),
    }


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
        *(_render_beside(results["beside"]) if "beside" in results else []),
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


def _render_beside(beside: Mapping[str, Any]) -> list[str]:
    rows = beside["rows"]
    parts = list(rows[0]["cpu_ms"])
    return [
        f"A guest's checkout (in as a guest, one unit ordered) beside commit {beside['commit']}, in turn: "
        "milliseconds of one core until the order is paid, by process; orders a second until all are paid; "
        "p99 of `POST /orders`.",
        "",
        *table(
            ["shop", "clients", *parts, "all", "a second", "p99 ms", "settled", "errors"],
            [
                [
                    row["shop"],
                    str(row["clients"]),
                    *(f"{row['cpu_ms'][part]:.2f}" for part in parts),
                    f"{sum(row['cpu_ms'].values()):.2f}",
                    f"{row['rate']:.1f}",
                    number(row["p99"]),
                    f"{row['settled']:g} s",
                    str(row["errors"]),
                ]
                for row in rows
            ],
        ),
        "",
        "Here as a part of that commit:",
        "",
        *table(
            ["clients", "processor time", "rate", "p99"],
            [
                [
                    str(now["clients"]),
                    f"{sum(now['cpu_ms'].values()) / sum(before['cpu_ms'].values()):.2f}",
                    f"{now['rate'] / before['rate']:.2f}",
                    f"{now['p99'] / before['p99']:.2f}",
                ]
                for before, now in zip(rows[::2], rows[1::2], strict=True)
            ],
        ),
        "",
    ]


def _write_step(times: Mapping[str, float | None] | None) -> str:
    return f"{number(times['p50'])}, {number(times['p99'])}" if times else ""
