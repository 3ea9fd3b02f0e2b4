"""Single calls: how many a second, how long they take, and the memory before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.loads import measure_load
from bench.report import number, table
from bench.scenarios import CALLS
from bench.shop import Shop

CLIENTS = (1, 8, 32)


def measure(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return the numbers of each call under each load."""
    at_rest = shop.measure_memory()
    loads = [measure_load(shop, scenario, clients, seconds) for scenario in CALLS for clients in CLIENTS]
    return {"loads": loads, "memory": {"at_rest": at_rest, "after_load": shop.measure_memory()}}


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the tables."""
    return [
        *table(
            ["call", "clients", "a second", "p50 ms", "p99 ms", "refused", "errors", "load", "settled"],
            [_load_row(load) for load in results["loads"]],
        ),
        "",
        "Memory (PSS of all processes of a part, in MiB):",
        "",
        *table(
            ["part", "processes", "at rest", "after the load"],
            _memory_rows(results["memory"]["at_rest"], results["memory"]["after_load"]),
        ),
    ]


def _load_row(load: Mapping[str, Any]) -> list[str]:
    # No answer at all is counted as status 0; JSON made texts of the numbers.
    kinds = [
        f"{times} x {status or 'no answer'}"
        for status in load["bad_statuses"]
        for times in [load["statuses"][str(status)]]
    ]
    settled = load["settled"]
    return [
        f"`{load['scenario']}`",
        str(load["clients"]),
        f"{load['rate']:g}" + (f" (ended after {load['seconds']:.1f} s)" if load["ended_early"] else ""),
        number(load["p50"]),
        number(load["p99"]),
        str(load["refused"]),
        f"{load['errors']} ({', '.join(kinds)})" if kinds else "0",
        f"{load['load_cpu']:.0%}",
        "" if settled is None else f"{settled:g} s",
    ]


def _memory_rows(
    before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]]
) -> list[list[str]]:
    rows = [
        [part, f"{after[part][0]:g}", f"{before[part][1]:.1f}", f"{after[part][1]:.1f}"] for part in after
    ]
    totals = [
        f"{sum(part[column] for part in parts.values()):.1f}" for parts, column in ((before, 1), (after, 1))
    ]
    return [*rows, ["all", f"{sum(part[0] for part in after.values()):g}", *totals]]
