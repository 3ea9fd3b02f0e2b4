"""A load on a shop, put there by a process of its own."""

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from bench.plan import Plan
from bench.scenarios import Scenario
from bench.shop import CannotMeasure, Shop, say
from local.settings import ROOT

GRACE = 120.0  # Seconds that a measurement may take beside what it measures.


def measure_load(shop: Shop, scenario: Scenario, clients: int, seconds: float) -> dict[str, Any]:
    """Put one kind of load on the shop; return the numbers. Raises CannotMeasure."""
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
