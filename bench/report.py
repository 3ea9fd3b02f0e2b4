"""The report of a run, as Markdown and as JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any


def render(results: Mapping[str, Any], sections: Mapping[str, Sequence[str]]) -> str:
    """Return the machine and the conditions, then the sections by their titles."""
    machine, calibration = results["machine"], results["calibration"]
    head = [
        f"# Shopfleet at {machine['commit'] or 'an unknown commit'}, {results['time']}",
        "",
        f"{machine['cores']} x {machine['cpu']}, {machine['memory_gib']} GiB, Linux {machine['kernel']}, "
        f"Python {machine['python']}, PostgreSQL {machine['postgresql']}, nginx {machine['nginx']}; "
        f"a second, {calibration['python_loops']:g} fixed Python loops on one core and "
        f"{calibration['disk_syncs']:g} synced writes of 8 KiB.",
        "",
        f"Closed loop, {results['seconds']:g} s each, with the load on the same machine. `load` is the share "
        "of one core that the load took, `cores` the number of cores that the shop used, and `settled` the "
        "time from the last answer until all orders were finished.",
    ]
    parts = (line for title, lines in sections.items() for line in ("", f"## {title}", "", *lines))
    return "\n".join([*head, *parts])


def write_report(results: Mapping[str, Any], text: str, folder: Path, time: datetime) -> Path:
    """Write report.md and results.json into a folder named after the time; return the report's path."""
    place = folder / f"{time:%Y%m%dT%H%M%SZ}"
    place.mkdir(parents=True)
    (place / "results.json").write_text(f"{json.dumps(results, indent=1)}\n", encoding="utf-8")
    report = place / "report.md"
    report.write_text(f"{text}\n", encoding="utf-8")
    return report


def table(head: str, rows: Sequence[Sequence[str | float | None]]) -> list[str]:
    """Return a Markdown table that is aligned as plain text, with numbers on the right.

    `head` names the columns, with " | " between them. A float gets one decimal, None an empty cell.
    """
    lines = [head.split(" | "), *([_write(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    first, *others = widths
    rule = f"|{'-' * (first + 2)}|" + "|".join(f"{'-' * (width + 1)}:" for width in others) + "|"
    written = [
        f"| {line[0]:<{first}} | "
        + " | ".join(f"{cell:>{width}}" for cell, width in zip(line[1:], others, strict=True))
        + " |"
        for line in lines
    ]
    return [written[0], rule, *written[1:]]


def _write(cell: str | float | None) -> str:
    if cell is None:
        return ""
    return f"{cell:.1f}" if isinstance(cell, float) else str(cell)
