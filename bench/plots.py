"""The charts of a report: each is drawn where the parts that it is about were measured."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench import hot_path, peers
from bench.charts import Bar, Line, draw_bars, draw_lines, draw_panels

INKS = {
    hot_path.STATIC: 7,
    hot_path.CACHED: 0,
    hot_path.UNCACHED: 2,
    hot_path.TUTORIAL: 1,
    hot_path.COMPRESSED: 3,
}
OURS, THEIRS = 0, 7


def draw(parts: Mapping[str, Any]) -> dict[str, str]:
    """Return the charts by the names of their files."""
    loads = _find_loads(parts)
    charts = {
        "hot-path.svg": _draw_hot_path(parts.get("hot-path")),
        "throughput.svg": _draw_throughput(loads),
        "latency.svg": _draw_latencies(loads),
        "peers.svg": _draw_peers(peers.compare(parts)),
    }
    return {name: chart for name, chart in charts.items() if chart}


def _find_loads(parts: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Return what was measured with several numbers of clients, by its name."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for load in parts.get("calls", {}).get("loads", []):
        found.setdefault(load["scenario"], []).append(load)
    for load in parts.get("checkout", {}).get("loads", []):
        if load["title"] == "checkout":
            found.setdefault("full checkout", []).append(load)
    return found


def _points(loads: Iterable[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """Return the points that a logarithmic axis has a place for."""
    return [(load["clients"], load[name]) for load in loads if load[name]]


def _draw_throughput(loads: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    if not loads:
        return ""
    lines = [Line(name, _points(some, "rate"), ink) for ink, (name, some) in enumerate(loads.items())]
    return draw_lines(
        "Throughput by the number of clients",
        "Good answers a second, in a closed loop, the load on the same machine",
        lines,
        x="clients",
        y="a second",
    )


def _draw_latencies(loads: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    if not loads:
        return ""
    panels = [
        (name, [Line("p50", _points(some, "p50"), 0), Line("p99", _points(some, "p99"), 1, dashed=True)])
        for name, some in loads.items()
    ]
    return draw_panels(
        "Latency by the number of clients",
        "Of the same loads, from the call to the whole answer",
        panels,
        x="clients",
        y="milliseconds",
    )


def _draw_hot_path(results: Mapping[str, Any] | None) -> str:
    if not results:
        return ""
    ratios = {(each["way"], each["clients"]): each["ratio"] for each in results["ratios"]}
    groups = []
    for clients in dict.fromkeys(row["clients"] for row in results["rows"]):
        rows = [row for row in results["rows"] if row["clients"] == clients]
        bars = [
            Bar(
                row["way"],
                row["rate"],
                _tell(row["rate"], ratios.get((row["way"], clients))),
                INKS[row["way"]],
            )
            for row in rows
        ]
        groups.append((f"{clients} client{'s' if clients > 1 else ''}", bars))
    return draw_bars(
        f"GET {hot_path.PATH} with a token, beside others",
        "Answers a second, and how many times as fast as that the gateway is; medians of interleaved rounds",
        groups,
    )


def _tell(rate: float, ratio: float | None) -> str:
    return f"{rate:,.0f}".replace(",", "\N{NO-BREAK SPACE}") + (f"  (gateway x {ratio:.3g})" if ratio else "")


def _draw_peers(shops: Sequence[peers.Peer]) -> str:
    if not shops:
        return ""
    inks = [OURS, *[THEIRS] * (len(shops) - 1)]
    checkouts = [
        Bar(shop.name, shop.checkouts, f"{shop.checkouts:g}", ink)
        for shop, ink in zip(shops, inks, strict=True)
    ]
    memory = [
        Bar(shop.name, shop.memory[1], f"{shop.memory[0]:g} to {shop.memory[1]:g}", ink, shop.memory[0])
        for shop, ink in zip(shops, inks, strict=True)
    ]
    return draw_bars(
        "Shopfleet beside other shops",
        "Ours of this run; the others measured once, on a machine of two cores",
        [
            ("Full checkouts a second, 8 clients", checkouts),
            ("Memory in MB, at rest to after load, without PostgreSQL", memory),
        ],
    )
