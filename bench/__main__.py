"""Measure the shop: `make bench`, with SECONDS=8 for each measurement.

    python -m bench             everything
    python -m bench identity    that part alone; several may be named

It starts a shop of its own, prints tables and writes the same as JSON into bench/results/.
"""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from bench import identity
from bench.machine import calibrate, describe_machine
from bench.plan import Plan
from bench.report import render, render_loads, write_json
from bench.scenarios import SCENARIOS, Scenario
from bench.shop import CannotMeasure, Shop, fresh_folder, running_shop
from local.errors import CannotStart
from local.settings import ROOT

CLIENTS = (1, 8, 32)
RESULTS = Path(__file__).with_name("results")
GRACE = 120.0  # Seconds that a measurement may take beside what it measures.


class Part(NamedTuple):
    """What can be measured by itself: the numbers of a running shop, and how they are shown."""

    measure: Callable[[Shop, float], dict[str, Any]]
    render: Callable[[dict[str, Any]], list[str]]


def measure_loads(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return the numbers of every scenario with every number of clients, and the memory before and after."""
    at_rest = shop.measure_memory()
    loads = [measure_load(shop, scenario, clients, seconds) for scenario in SCENARIOS for clients in CLIENTS]
    return {"loads": loads, "memory": {"at_rest": at_rest, "after_load": shop.measure_memory()}}


# By the name that `python -m bench` takes. To measure another thing, add a module and its row.
PARTS = {
    "loads": Part(measure_loads, render_loads),
    "identity": Part(identity.measure, identity.render),
}


def measure(seconds: float, names: Sequence[str]) -> dict[str, Any]:
    """Return the results of these parts; raises CannotMeasure."""
    began = datetime.now(UTC)
    results: dict[str, Any] = {"time": began.isoformat(timespec="seconds"), "seconds": seconds}
    results["machine"] = describe_machine()
    with fresh_folder() as folder:
        say("Calibrating …")
        results["calibration"] = calibrate(folder)
        say("Starting a shop …")
        with running_shop(folder) as shop:
            results["parts"] = {}
            for name in names:
                say(f"{name.capitalize()} …")
                results["parts"][name] = PARTS[name].measure(shop, seconds)
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


def read_names(words: Sequence[str]) -> list[str]:
    """Return the parts that are named, or all."""
    unknown = [word for word in words if word not in PARTS]
    if unknown:
        raise CannotMeasure(f"There is no part {unknown[0]!r}; there are {', '.join(PARTS)}.")
    return list(words) or list(PARTS)


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


def main(words: Sequence[str] = ()) -> int:
    """Measure, print and write; return the exit code."""
    try:
        results = measure(read_seconds(os.environ), read_names(words))
    except (CannotMeasure, CannotStart) as error:
        say(f"Cannot measure: {error}")
        return 1
    shown = [PARTS[name].render(numbers) for name, numbers in results["parts"].items()]
    print("\n".join([render(results), *(line for lines in shown for line in ("", *lines))]))
    file = write_json(results, RESULTS, datetime.fromisoformat(results["time"]))
    say(f"\nWritten to {os.path.relpath(file)}.")
    return 0


if __name__ == "__main__":
    # So that the shop is stopped, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
