"""What was measured, as Markdown with charts, and as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple


class Section(NamedTuple):
    """A part of the report: its heading, the files of its charts, and its lines."""

    title: str
    lines: Sequence[str]
    charts: Sequence[str] = ()


def render(results: Mapping[str, Any], sections: Iterable[Section]) -> str:
    """Return what was measured on, and then a section for each part."""
    machine, calibration = results["machine"], results["calibration"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    head = [
        f"# Shopfleet at {machine['commit'] or 'an unknown commit'}, {results['time']}",
        "",
        f"{machine['cores']} x {machine['cpu']}, {machine['memory_gib']} GiB, Linux {machine['kernel']}, "
        f"Python {machine['python']}, PostgreSQL {machine['postgresql']}, nginx {machine['nginx']}; "
        f"{packages}.",
        "",
        f"Calibration, one core, a second: {calibration['python_loops']:g} Python loops, "
        f"{calibration['sha256_mib']:g} MiB of SHA-256, {calibration['argon2']:g} argon2id hashes; "
        f"{calibration['disk_syncs']:g} synced writes of 8 KiB.",
        "",
        f"Closed loop, {results['seconds']:g} s each, the load on the same machine. `load` is the share "
        "of one core that making the calls took, and `cores`, how many the shop had; `settled`, how long "
        "after the last answer all orders were finished.",
    ]
    return "\n".join([*head, *(line for section in sections for line in ("", *_write_section(section)))])


def _write_section(section: Section) -> list[str]:
    return [f"## {section.title}", "", *_show(section.charts), *section.lines]


def _show(charts: Sequence[str]) -> list[str]:
    return [line for chart in charts for line in (f"![{Path(chart).stem}]({chart})", "")]


def write_report(
    results: Mapping[str, Any], text: str, charts: Mapping[str, str], folder: Path, time: datetime
) -> Path:
    """Write report, charts and results.json into a folder named after their time, and return the report."""
    place = folder / f"{time:%Y%m%dT%H%M%SZ}"
    place.mkdir(parents=True)
    for name, chart in charts.items():
        (place / name).write_text(chart, encoding="utf-8")
    (place / "results.json").write_text(f"{json.dumps(results, indent=1)}\n", encoding="utf-8")
    report = place / "report.md"
    report.write_text(f"{text}\n", encoding="utf-8")
    return report


def table_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of numbers that have a name: a column for each, and the scenario first."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    columns.sort(key=lambda column: column != "scenario")
    cells = [["" if row.get(column) is None else f"{row[column]}" for column in columns] for row in rows]
    return table(columns, cells)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table, lined up to be read as it is; numbers stand at the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return (
            f"| {first[0]:<{first[1]}} | " + " | ".join(f"{cell:>{width}}" for cell, width in others) + " |"
        )

    rule = f"|{'-' * (widths[0] + 2)}|" + "|".join(f"{'-' * (width + 1)}:" for width in widths[1:]) + "|"
    return [line(head), rule, *(line(row) for row in rows)]


def number(value: float | None) -> str:
    """Return a number of a table; None leaves its place empty."""
    return "" if value is None else f"{value:.1f}"
