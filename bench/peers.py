"""What other shops did when this project measured them, to see our own numbers in proportion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.report import table

SOURCE = (
    "The others' numbers are not of this run: this project measured them once, on a machine of two cores, "
    "with 8 clients and the same checkout as ours here: in as a guest, something into the cart, the order "
    "confirmed. Memory is PSS at rest and after load, ours that of the gateway and the five services; "
    "PostgreSQL is counted for nobody."
)
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Peer:
    """A shop: checkouts a second with 8 clients, and megabytes at rest and after load."""

    name: str
    checkouts: float
    memory: tuple[float, float]
    remark: str = ""


PEERS = (
    Peer("django-oscar", 18, (159, 319)),
    Peer("Vendure", 8, (419, 716), "lost 5 of 109 allocations of stock meanwhile"),
    Peer("Medusa", 1.3, (850, 940)),
)


def compare(parts: Mapping[str, Any]) -> list[Peer]:
    """Return ours, as far as these parts have measured it, and the others."""
    loads = parts.get("checkout", {}).get("loads", [])
    rates = [load["rate"] for load in loads if load["title"] == "checkout" and load["clients"] == 8]
    memory = parts.get("calls", {}).get("memory")
    if not rates or not memory:
        return []
    sizes = [sum_memory(memory[when]) for when in ("at_rest", "after_load")]
    return [Peer("Shopfleet", rates[0], (sizes[0], sizes[1])), *PEERS]


def sum_memory(memory: Mapping[str, Any]) -> float:
    """Return the megabytes of the gateway and the services."""
    mib: float = sum(
        each[1] for part, each in memory.items() if part == "gateway" or part.endswith("-service")
    )
    return round(mib * 2**20 / MEGABYTE)


def render(parts: Mapping[str, Any]) -> list[str]:
    """Return the table; nothing if this run has not measured ours."""
    shops = compare(parts)
    if not shops:
        return []
    rows = [
        [shop.name, f"{shop.checkouts:g}", f"{shop.memory[0]:g} to {shop.memory[1]:g}", shop.remark]
        for shop in shops
    ]
    return [SOURCE, "", *table(["shop", "checkouts a second", "memory, MB", "remark"], rows)]
