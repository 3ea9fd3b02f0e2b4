"""A load on a shop, put there by a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bench.cpu import subtract
from bench.plan import Plan
from bench.scenarios import Scenario
from bench.shop import CannotMeasure, Shop, say
from local.settings import ROOT

FULL = 0.85  # Of a core; the rest is lost where one waits for the other.
MANY_PROCESSES = frozenset({"gateway", "postgres"})
GRACE = 120.0  # Seconds that a measurement may take beside what it measures.


def measure_load(shop: Shop, scenario: Scenario, clients: int, seconds: float) -> dict[str, Any]:
    """Put one kind of load on the shop; return the numbers, and what of the processor each part took for it.

    Raises CannotMeasure.
    """
    say(f"{scenario.name}, {clients} client{'s' if clients > 1 else ''} …")
    plan = Plan(scenario.name, shop.url, clients, warm_up=min(2.0, seconds / 4), seconds=seconds)
    before = shop.measure_cpu()
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
    result["settled"] = shop.settle() if scenario.leaves_work else None
    result["cpu"] = subtract(shop.measure_cpu(), before)
    # With the warm-up, and with what was left to be finished: so long each part was at work.
    lasted = plan.warm_up + result["seconds"] + (result["settled"] or 0)
    result["cores"] = {part: round(spent / lasted, 2) for part, spent in result["cpu"].items()}
    result["bound"] = name_bound(result["cores"], result["load_cpu"], len(os.sched_getaffinity(0)))
    return result


def name_bound(cores: Mapping[str, float], load_cpu: float, count: int) -> str:
    """Return what the rate is bound by, as far as the shares of a core tell that each part has used."""
    busiest = max(cores, key=lambda part: cores[part])
    if load_cpu >= FULL:
        return "the load itself"
    if sum(cores.values()) + load_cpu >= FULL * count:
        return f"all cores, most of it {busiest}"
    # Of a service one thread runs at a time.
    if cores[busiest] >= FULL and busiest not in MANY_PROCESSES:
        return f"one process of {busiest}"
    return "waiting"
