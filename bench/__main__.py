"""Measure the shop: `make bench`, with SECONDS=8 for each measurement; `python -m bench checkout` for a part.

Each part has a shop of its own, or one service alone. The tables are printed, and the same is written as JSON
into bench/results/.
"""

import math
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from bench import calls, checkout, identity, imports, logs, reading, records, reservations
from bench.catalog import running_catalog
from bench.machine import calibrate, describe_machine
from bench.report import render, write_json
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
    """What can be measured by itself: how to start what it is about below a folder, and what to measure."""

    start: Callable[[Path], AbstractContextManager[Any]]
    subject: Subject


# To measure something else, add a module.
PARTS: Mapping[str, Part] = {
    "calls": Part(running_shop, calls),
    "checkout": Part(running_shop, checkout),
    "identity": Part(running_shop, identity),
    "catalogue": Part(running_catalog, reading),
    "reservations": Part(running_catalog, reservations),
    "import": Part(running_catalog, imports),
    "logs": Part(running_shop, logs),
    "records": Part(running_shop, records),
}


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


def main(arguments: Sequence[str] = ()) -> int:
    """Measure, print and write; return the exit code."""
    try:
        results = measure(read_seconds(os.environ), read_names(arguments))
    except (CannotMeasure, CannotStart) as error:
        say(f"Cannot measure: {error}")
        return 1
    print(
        render(results, [PARTS[name].subject.render(numbers) for name, numbers in results["parts"].items()])
    )
    file = write_json(results, RESULTS, datetime.fromisoformat(results["time"]))
    say(f"\nWritten to {os.path.relpath(file)}.")
    return 0


if __name__ == "__main__":
    # So that the shop is stopped, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
