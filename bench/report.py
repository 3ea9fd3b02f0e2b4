"""What was measured, as Markdown and as JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any


def render(results: Mapping[str, Any]) -> str:
    """Return what was measured on what."""
    machine, calibration = results["machine"], results["calibration"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    return "\n".join(
        [
            f"# Shopfleet at {machine['commit'] or 'an unknown commit'}, {results['time']}",
            "",
            f"{machine['cores']} x {machine['cpu']}, {machine['memory_gib']} GiB, Linux {machine['kernel']}, "
            f"Python {machine['python']}, PostgreSQL {machine['postgresql']}, nginx {machine['nginx']}; "
            f"{packages}.",
            "",
            f"Calibration, one core, a second: {calibration['python_loops']:g} Python loops, "
            f"{calibration['sha256_mib']:g} MiB of SHA-256, {calibration['argon2']:g} argon2id hashes; "
            f"{calibration['disk_syncs']:g} synced writes of 8 KiB. {results['seconds']:g} s for each "
            "measurement, the load on the same machine.",
        ]
    )


def render_loads(results: Mapping[str, Any]) -> list[str]:
    """Return the tables of loads and memory."""
    return [
        "Closed loop. `load` is the share of one core that making the calls took; `settled`, how long after "
        "the last answer all orders were finished.",
        "",
        *_table(
            ["call", "clients", "a second", "p50 ms", "p99 ms", "refused", "errors", "load", "settled"],
            [_load_row(load) for load in results["loads"]],
        ),
        "",
        "Memory (PSS of all processes of a part, in MiB):",
        "",
        *_table(
            ["part", "processes", "at rest", "after the load"],
            _memory_rows(results["memory"]["at_rest"], results["memory"]["after_load"]),
        ),
    ]


def write_json(results: Mapping[str, Any], folder: Path, time: datetime) -> Path:
    """Write the results into a file named after their time, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{time:%Y%m%dT%H%M%SZ}.json"
    file.write_text(f"{json.dumps(results, indent=1)}\n", encoding="utf-8")
    return file


def _load_row(load: Mapping[str, Any]) -> list[str]:
    # No answer at all is counted as status 0; JSON made texts of the numbers.
    kinds = [
        f"{number} x {status or 'no answer'}"
        for status in load["bad_statuses"]
        for number in [load["statuses"][str(status)]]
    ]
    settled = load["settled"]
    return [
        f"`{load['scenario']}`",
        str(load["clients"]),
        f"{load['rate']:g}" + (f" (ended after {load['seconds']:.1f} s)" if load["ended_early"] else ""),
        _number(load["p50"]),
        _number(load["p99"]),
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


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table, lined up to be read as it is; numbers stand at the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return (
            f"| {first[0]:<{first[1]}} | " + " | ".join(f"{cell:>{width}}" for cell, width in others) + " |"
        )

    rule = f"|{'-' * (widths[0] + 2)}|" + "|".join(f"{'-' * (width + 1)}:" for width in widths[1:]) + "|"
    return [line(head), rule, *(line(row) for row in rows)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
