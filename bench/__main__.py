"""Measure the shop: `make bench`, with SECONDS=8 for each measurement.

It starts a shop of its own, prints tables and writes the same as JSON into bench/results/.
"""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.machine import calibrate, describe_machine
from bench.plan import Plan
from bench.report import render, write_json
from bench.scenarios import SCENARIOS, Scenario
from bench.shop import CannotMeasure, Shop, fresh_folder, running_shop
from local.errors import CannotStart
from local.settings import ROOT

CLIENTS = (1, 8, 32)
RESULTS = Path(__file__).with_name("results")
GRACE = 120.0  # Seconds that a measurement may take beside what it measures.


def measure(seconds: float) -> dict[str, Any]:
    """Return all results; raises CannotMeasure."""
    began = datetime.now(UTC)
    results: dict[str, Any] = {"time": began.isoformat(timespec="seconds"), "seconds": seconds}
    results["machine"] = describe_machine()
    with fresh_folder() as folder:
        say("Calibrating …")
        results["calibration"] = calibrate(folder)
        say("Starting a shop …")
        with running_shop(folder) as shop:
            at_rest = shop.measure_memory()
            results["loads"] = [
                measure_load(shop, scenario, clients, seconds)
                for scenario in SCENARIOS
                for clients in CLIENTS
            ]
            results["memory"] = {"at_rest": at_rest, "after_load": shop.measure_memory()}
    return results


def measure_load(shop: Shop, scenario: Scenario, clients: int, seconds: float) -> dict[str, Any]:
    """Put one kind of load on the shop; return the numbers."""
    say(f"{scenario.name}, {clients} client{'s' if clients > 1 else ''} …")
    plan = Plan(scenario.name, shop.url, clients, warm_up=min(2.0, seconds / 4), seconds=seconds)
    load = subprocess.run(
        [sys.executable, "-m", "bench.load", json.dumps(asdict(plan))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds + GRACE,
        check=False,
    )
    if load.returncode != 0:
        raise CannotMeasure(f"The load on {scenario.name} failed:\n{load.stderr}")
    result: dict[str, Any] = json.loads(load.stdout)
    return result | {"settled": shop.settle() if scenario.leaves_work else None}


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


def say(text: str) -> None:
    """Tell how far it is, beside the result."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print and write; return the exit code."""
    try:
        results = measure(read_seconds(os.environ))
    except (CannotMeasure, CannotStart) as error:
        say(f"Cannot measure: {error}")
        return 1
    print(render(results))
    file = write_json(results, RESULTS, datetime.fromisoformat(results["time"]))
    say(f"\nWritten to {os.path.relpath(file)}.")
    return 0


if __name__ == "__main__":
    # So that the shop is stopped, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
