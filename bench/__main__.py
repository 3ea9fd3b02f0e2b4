"""Measure the shop: `make bench`, with SECONDS=8 for each measurement; `python -m bench checkout` for a part.

Each part has a shop of its own, or one service alone. The report is printed, and written into a folder of its
own below bench/results/, with charts and with all numbers as JSON.
"""

import math
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from bench import (
    calls,
    checkout,
    hot_path,
    identity,
    images,
    imports,
    logs,
    peers,
    plots,
    reading,
    records,
    reservations,
    start_up,
)
from bench.catalog import running_catalog
from bench.machine import calibrate, describe_machine
from bench.report import Section, render, write_report
from bench.shop import CannotMeasure, fresh_folder, running_shop, say
from local.errors import CannotStart

RESULTS = Path(__file__).with_name("results")


class Subject(Protocol):
    """A module that measures something of what is running, and makes tables of it."""

    def measure(self, running: Any, seconds: float) -> dict[str, Any]:
        """Return the numbers, as JSON has them; raises CannotMeasure."""

    def render(self, results: Mapping[str, Any]) -> list[str]:
        """Return the lines of the tables."""


@dataclass(frozen=True)
class Part:
    """What can be measured by itself: its title, how to start what it is about below a folder, and a subject.

    `charts` are those of `bench.plots` that belong to it.
    """

    title: str
    start: Callable[[Path], AbstractContextManager[Any]]
    subject: Subject
    charts: tuple[str, ...] = ()


# To measure something else, add a module.
PARTS: Mapping[str, Part] = {
    "hot-path": Part("The hot path", running_shop, hot_path, ("hot-path.svg",)),
    "calls": Part("Single calls", running_shop, calls, ("throughput.svg", "latency.svg")),
    "checkout": Part("Checkouts", running_shop, checkout),
    "identity": Part("Identity", partial(running_shop, settings=identity.SETTINGS), identity),
    "catalogue": Part("Reading the catalogue", running_catalog, reading),
    "reservations": Part("Reservations", running_catalog, reservations),
    "import": Part("Import and export", running_catalog, imports),
    "logs": Part("Log records", running_shop, logs),
    "records": Part("A log record, in the request that leaves it", running_shop, records),
    "start": Part("Starting", nullcontext, start_up),
    "images": Part("Images", nullcontext, images),
}
OTHERS = "Beside other shops"


def measure(seconds: float, names: Sequence[str]) -> dict[str, Any]:
    """Return the results of these parts; raises CannotMeasure."""
    began = datetime.now(UTC)
    results: dict[str, Any] = {"time": began.isoformat(timespec="seconds"), "seconds": seconds}
    results["machine"] = describe_machine()
    with fresh_folder() as folder:
        say("Calibrating …")
        results["calibration"] = calibrate(folder)
    results["parts"] = {name: _measure_part(name, seconds) for name in names}
    return results


def _measure_part(name: str, seconds: float) -> dict[str, Any]:
    part = PARTS[name]
    say(f"Starting what {name} is about …")
    with fresh_folder() as folder, part.start(folder) as running:
        return part.subject.measure(running, seconds)


def read_seconds(environment: Mapping[str, str]) -> float:
    """Return how long each measurement lasts."""
    text = environment.get("SECONDS") or "8"
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:
        raise CannotMeasure(f"SECONDS is {text!r}; it must be a number from 0 to 3600.")
    return seconds


def read_names(arguments: Sequence[str]) -> list[str]:
    """Return the parts that were asked for, all of them for none."""
    for name in arguments:
        if name not in PARTS:
            raise CannotMeasure(f"There is nothing called {name!r} to measure; there is {', '.join(PARTS)}.")
    return list(arguments) or list(PARTS)


def make_sections(parts: Mapping[str, Any], charts: Mapping[str, str]) -> list[Section]:
    """Return the report's sections: one for each part, and one for what others did."""
    sections = [
        Section(
            PARTS[name].title,
            PARTS[name].subject.render(numbers),
            [chart for chart in PARTS[name].charts if chart in charts],
        )
        for name, numbers in parts.items()
    ]
    if lines := peers.render(parts):
        sections.append(Section(OTHERS, lines, ["peers.svg"]))
    return sections


def main(arguments: Sequence[str] = ()) -> int:
    """Measure, print and write; return the exit code."""
    try:
        results = measure(read_seconds(os.environ), read_names(arguments))
    except (CannotMeasure, CannotStart) as error:
        say(f"Cannot measure: {error}")
        return 1
    charts = plots.draw(results["parts"])
    text = render(results, make_sections(results["parts"], charts))
    print(text)
    report = write_report(results, text, charts, RESULTS, datetime.fromisoformat(results["time"]))
    say(f"\nWritten to {os.path.relpath(report)}.")
    return 0


if __name__ == "__main__":
    # So that the shop is stopped, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
