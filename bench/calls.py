"""Single calls: calls a second, latencies, and the memory of the shop before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.report import table
from bench.scenarios import CALLS, measure_load
from bench.shop import Shop

CLIENTS = (1, 8, 32)
MOST_LISTED = 4  # Processes whose sizes fit into a cell.
HEAD = "call | clients | a second | p50 ms | p99 ms | refused | errors | load | cores | settled | bound by"
AIM = 400e6 / 2**20  # MiB of the gateway and the services after the load.


def measure(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return the numbers of each call under each load, and the memory of each part."""
    at_rest = shop.measure_memory()
    loads = [measure_load(shop, scenario, clients, seconds) for scenario in CALLS for clients in CLIENTS]
    return {"loads": loads, "memory": {"at_rest": at_rest, "after_load": shop.measure_memory()}}


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the tables of the report."""
    return [
        *table(
            HEAD,
            [_load_row(load) for load in results["loads"]],
        ),
        "",
        "Memory (PSS of all processes of a part, in MiB). The gateway and the five services shall stay "
        f"below {AIM:.0f} MiB:",
        "",
        *table(
            "part | processes | at rest | after the load | each process then",
            _memory_rows(results["memory"]["at_rest"], results["memory"]["after_load"]),
        ),
    ]


def _load_row(load: Mapping[str, Any]) -> list[str | float | None]:
    bad = [f"{load['statuses'][str(each)]} x {each or 'no answer'}" for each in load["bad_statuses"]]
    return [
        f"`{load['scenario']}`",
        load["clients"],
        f"{load['rate']:g}" + (f" (ended after {load['seconds']:.1f} s)" if load["ended_early"] else ""),
        load["p50"],
        load["p99"],
        load["refused"],
        f"{load['errors']} ({', '.join(bad)})" if bad else "0",
        f"{load['load_cpu']:.0%}",
        f"{sum(load['cores'].values()):.2f}",
        "" if load["settled"] is None else f"{load['settled']:g} s",
        load["bound"],
    ]


def _memory_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[list[str | float | None]]:
    def row(title: str, parts: Sequence[str]) -> list[str | float | None]:
        each = [size for part in parts for size in after[part][2]]
        is_listed = len(parts) == 1 and len(each) <= MOST_LISTED
        sizes = [f"{sum(memory[part][1] for part in parts):.1f}" for memory in (before, after)]
        return [title, len(each), *sizes, " + ".join(f"{size:.1f}" for size in each) if is_listed else ""]

    shop = [part for part in after if part == "gateway" or part.endswith("-service")]
    return [*(row(part, [part]) for part in after), row("gateway and services", shop), row("all", [*after])]
