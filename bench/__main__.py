"""Measure the shop: `make bench`, or `python -m bench checkout` for one part.

SECONDS=8 is the length of each measurement, and each part has a shop of its own. The report goes to stdout
and, with all numbers as JSON, into a folder below bench/results/.
"""

import math
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from bench import calls, catalogue, checkout, hot_path
from bench.errors import CannotMeasure
from bench.machine import calibrate, describe_machine
from bench.report import render, write_report
from bench.shop import fresh_folder, running_shop, say
from local.errors import CannotStart

RESULTS = Path(__file__).with_name("results")


class Part(NamedTuple):
    """A part of the report, and the module that measures it."""

    title: str
    subject: ModuleType


# Add a module to measure something else.
PARTS: Mapping[str, Part] = {
    "hot-path": Part("The hot path", hot_path),
    "calls": Part("Single calls", calls),
    "checkout": Part("Checkouts", checkout),
    "catalogue": Part("A large catalogue", catalogue),
}


def main(arguments: Sequence[str] = ()) -> int:
    """Measure, print and write the report; return the exit code."""
    try:
        results = measure(read_seconds(os.environ), read_names(arguments))
    except (CannotMeasure, CannotStart) as error:
        say(f"Cannot measure: {error}")
        return 1
    parts = [(PARTS[name], numbers) for name, numbers in results["parts"].items()]
    text = render(results, {part.title: part.subject.render(numbers) for part, numbers in parts})
    print(text)
    report = write_report(results, text, RESULTS, datetime.fromisoformat(results["time"]))
    say(f"\nWritten to {os.path.relpath(report)}.")
    return 0


def read_seconds(environment: Mapping[str, str]) -> float:
    """Return the length of each measurement."""
    text = environment.get("SECONDS") or "8"
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:
        raise CannotMeasure(f"SECONDS is {text!r}; it must be a number from 0 to 3600.")
    return seconds


def read_names(arguments: Sequence[str]) -> list[str]:
    """Return the parts to measure, all of them by default."""
    for name in arguments:
        if name not in PARTS:
            raise CannotMeasure(f"There is no part {name!r}; the parts are {', '.join(PARTS)}.")
    return list(arguments) or list(PARTS)


def measure(seconds: float, names: Sequence[str]) -> dict[str, Any]:
    """Return the results of these parts; raises CannotMeasure."""
    began = datetime.now(UTC).isoformat(timespec="seconds")
    say("Calibrating …")
    with fresh_folder() as folder:
        calibration = calibrate(folder)
    return {
        "time": began,
        "seconds": seconds,
        "machine": describe_machine(),
        "calibration": calibration,
        "parts": {name: _measure_part(name, seconds) for name in names},
    }


def _measure_part(name: str, seconds: float) -> Any:
    say(f"Starting the shop for {name} …")
    with fresh_folder() as folder, running_shop(folder) as shop:
        return PARTS[name].subject.measure(shop, seconds)


if __name__ == "__main__":
    # Exit by an exception, so that the shop stops too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
