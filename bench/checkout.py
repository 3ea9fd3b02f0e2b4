"""Full checkouts: a new guest adds a product to the cart and orders it until the order is confirmed.

The shop is measured as it is, with one product that all guests buy, and with a million past orders. The
report has the processor time of a checkout by part, with the work after the answer. With CONTROL, a commit,
it also has a guest's checkout compared with the one of that commit.
"""

import math
import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.past_orders import write_past_orders
from bench.report import table
from bench.scenarios import (
    CHECKOUT,
    COUPON,
    DIRECT,
    HOT_PRODUCT,
    METHOD,
    WITH_TOTALS,
    Scenario,
    measure_load,
)
from bench.shop import Shop, running_commit, say

CLIENTS = (1, 8, 32)
SOME_CLIENTS = 8  # For the shop with one product, and for the one with past orders.
PAST_ORDERS = 1_000_000
STOCK = 1_000_000  # Units of each product, so that none sells out.
STOCK_UP = "UPDATE products SET on_hand = %(n)s, source_on_hand = %(n)s"
ROUNDS = 3  # Of each shop in turn, compared with another commit.


def measure(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return the numbers of each load, and the comparison with CONTROL; raises CannotMeasure."""
    commit = os.environ.get("CONTROL")
    comparison = {"comparison": compare_checkouts(shop, commit, seconds)} if commit else {}
    shop.run_sql("catalog", STOCK_UP, n=STOCK)
    loads = [
        *(_measure(shop, CHECKOUT, clients, seconds, "checkout") for clients in CLIENTS),
        _measure(shop, HOT_PRODUCT, SOME_CLIENTS, seconds, "checkout, one product for all"),
    ]
    say(f"Writing {PAST_ORDERS} past orders …")
    write_past_orders(shop, PAST_ORDERS)
    loads.append(_measure(shop, CHECKOUT, SOME_CLIENTS, seconds, f"checkout after {PAST_ORDERS} orders"))
    return {"loads": loads, **comparison}


def compare_checkouts(shop: Shop, commit: str, seconds: float) -> dict[str, Any]:
    """Return the medians of a guest's checkout at this and another commit, in alternating rounds."""
    with running_commit(commit) as other:
        shops = {commit: other, "here": shop}
        for each in shops.values():
            each.run_sql("catalog", STOCK_UP, n=STOCK)
        rounds = [
            {"shop": name, **_measure(each, DIRECT, clients, seconds, name)}
            for clients in CLIENTS
            for _ in range(ROUNDS)
            for name, each in shops.items()
        ]
        set_totals_up(shop)
        priced = [
            {"shop": name, **_measure(each, scenario, clients, seconds, name)}
            for clients in CLIENTS
            for _ in range(ROUNDS)
            for name, each, scenario in ((commit, other, DIRECT), ("here", shop, WITH_TOTALS))
        ]
        take_totals_down(shop)
    return {
        "commit": commit,
        "rows": [sum_up(rounds, name, each) for each in CLIENTS for name in shops],
        "with_totals": [sum_up(priced, name, each) for each in CLIENTS for name in shops],
    }


def set_totals_up(shop: Shop) -> None:
    """Add a shipping method, a tax rate and a coupon, so that an order has all parts of a total."""
    shop.run_sql(
        "orders",
        "INSERT INTO shipping_methods (code, title, price) VALUES (%(code)s, 'Parcel', 490)",
        code=METHOD,
    )
    shop.run_sql("orders", "INSERT INTO tax_rates (country, title, rate) VALUES ('US', 'Sales tax', 825)")
    shop.run_sql(
        "orders",
        "INSERT INTO coupons (code, key, percent) VALUES (%(code)s, lower(%(code)s), 10)",
        code=COUPON,
    )


def take_totals_down(shop: Shop) -> None:
    """Remove the shipping method and the tax rate, because other orders name no method."""
    shop.run_sql("orders", "DELETE FROM shipping_methods")
    shop.run_sql("orders", "DELETE FROM tax_rates")


def sum_up(rounds: Sequence[Mapping[str, Any]], name: str, clients: int) -> dict[str, Any]:
    """Return the medians of a shop's rounds with that many clients; the rate is that until all are paid."""
    ours = [each for each in rounds if (each["shop"], each["clients"]) == (name, clients)]
    cpu = {part: statistics.median(each["cpu_ms"][part] for each in ours) for part in ours[0]["cpu_ms"]}
    return {
        "shop": name,
        "clients": clients,
        "cpu_ms": cpu,
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
    # The orders of the warm-up count too, because the shop finishes them within the measured time.
    return {
        **load,
        "title": title,
        "orders": orders,
        "cpu_ms": {part: round(1000 * spent / max(orders, 1), 2) for part, spent in load["cpu"].items()},
    }


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the tables of the report."""
    loads = results["loads"]
    rates = [
        [
            *(load["title"], load["clients"], f"{load['rate']:g}", load["p50"], load["p99"]),
            *(load["errors"] + load["refused"], f"{load['settled']:g} s", load["bound"]),
        ]
        for load in loads
    ]
    steps = list(dict.fromkeys(step for load in loads for step in load["steps"]))
    times = [
        [load["title"], load["clients"], *(_write_step(load["steps"].get(step)) for step in steps)]
        for load in loads
    ]
    spent = [[load["title"], load["clients"], *_write_cpu(load["cpu_ms"])] for load in loads]
    return [
        *(_render_comparison(results["comparison"]) if "comparison" in results else []),
        "Full checkouts: in as a guest, one unit into the cart, the order confirmed.",
        "",
        *table("shop | clients | a second | p50 ms | p99 ms | errors | settled | bound by", rates),
        "",
        "The calls of a checkout, in ms (p50, p99):",
        "",
        *table(" | ".join(["shop", "clients", *steps]), times),
        "",
        "Processor time of a checkout in ms of one core, with the work after the answer:",
        "",
        *table(" | ".join(["shop", "clients", *loads[0]["cpu_ms"], "all"]), spent),
    ]


def _render_comparison(comparison: Mapping[str, Any]) -> list[str]:
    commit = comparison["commit"]
    return [
        f"A guest's checkout (a new guest orders one unit), in turn with commit {commit}: "
        "milliseconds of one core until the order is paid, by process; orders a second until all are paid; "
        "p99 of `POST /orders`.",
        "",
        *_render_rows(comparison["rows"]),
        "The same with a shipping method, a tax and a coupon here:",
        "",
        *_render_rows(comparison["with_totals"]),
    ]


def _render_rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    head = ["shop", "clients", *rows[0]["cpu_ms"], "all", "a second", "p99 ms", "settled", "errors"]
    numbers = [
        [
            *(row["shop"], row["clients"], *_write_cpu(row["cpu_ms"]), row["rate"], row["p99"]),
            *(f"{row['settled']:g} s", row["errors"]),
        ]
        for row in rows
    ]
    ratios = [
        [
            now["clients"],
            f"{sum(now['cpu_ms'].values()) / sum(before['cpu_ms'].values()):.2f}",
            *(f"{now[name] / before[name]:.2f}" for name in ("rate", "p99")),
        ]
        for before, now in zip(rows[::2], rows[1::2], strict=True)
    ]
    return [
        *table(" | ".join(head), numbers),
        "",
        "Here as a part of that commit:",
        "",
        *table("clients | processor time | rate | p99", ratios),
        "",
    ]


def _write_step(times: Mapping[str, float | None] | None) -> str:
    return ", ".join("" if each is None else f"{each:.1f}" for each in times.values()) if times else ""


def _write_cpu(spent: Mapping[str, float]) -> list[str]:
    return [f"{each:.2f}" for each in (*spent.values(), sum(spent.values()))]
