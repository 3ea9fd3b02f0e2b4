"""Single calls: how many a second, how long they take, and the memory before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.loads import measure_load
from bench.report import number, table
from bench.scenarios import CALLS
from bench.shop import Shop

CLIENTS = (1, 8, 32)
TOLD_SINGLY = 4  # Processes whose sizes fit into a table.
AIM = 400e6 / 2**20  # MiB of the gateway and the services after the load.


def measure(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return the numbers of each call under each load."""
    at_rest = shop.measure_memory()
    loads = [measure_load(shop, scenario, clients, seconds) for scenario in CALLS for clients in CLIENTS]
    return {"loads": loads, "memory": {"at_rest": at_rest, "after_load": shop.measure_memory()}}


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the tables."""
    return [
        *table(
            [
                "call",
                "clients",
                "a second",
                "p50 ms",
                "p99 ms",
                "refused",
                "errors",
                "load",
                "cores",
                "settled",
                "bound by",
            ],
            [_load_row(load) for load in results["loads"]],
        ),
        "",
        "Memory (PSS of all processes of a part, in MiB). The gateway and the five services shall stay "
        f"below {AIM:.0f} MiB:",
        "",
        *table(
            ["part", "processes", "at rest", "after the load", "each process then"],
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
        f"{sum(load['cores'].values()):.2f}",
        "" if settled is None else f"{settled:g} s",
        load["bound"],
    ]


def _memory_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[list[str]]:
    def row(title: str, parts: Sequence[str]) -> list[str]:
        each = [size for part in parts for size in after[part][2]]
        is_small = len(parts) == 1 and len(each) <= TOLD_SINGLY
        sizes = [f"{sum(memory[part][1] for part in parts):.1f}" for memory in (before, after)]
        told = " + ".join(f"{size:.1f}" for size in each) if is_small else ""
        return [title, str(len(each)), *sizes, told]

    shop = [part for part in after if part == "gateway" or part.endswith("-service")]
    return [
        *(row(part, [part]) for part in after),
        row("gateway and services", shop),
        row("all", list(after)),
    ]
