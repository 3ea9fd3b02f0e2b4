"""A flood of calls, made by processes of its own."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import IO, Any, cast

from bench.flood import Flood
from bench.shop import CannotMeasure
from bench.statistics import quantile
from local.settings import ROOT

GRACE = 60.0  # Seconds that a flood may take beside what it measures.


def run_flood(flood: Flood) -> dict[str, Any]:
    """Ask from as many processes as there are cores; return rate, quantiles and the load's CPU seconds."""
    count = min(flood.clients, len(os.sched_getaffinity(0)))
    shares = [flood.clients // count + (place < flood.clients % count) for place in range(count)]
    command = [sys.executable, "-m", "bench.flood"]
    processes = [
        subprocess.Popen(
            [*command, json.dumps(asdict(flood) | {"clients": share})],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for share in shares
    ]
    try:
        pipes = [(cast(IO[str], process.stdin), cast(IO[str], process.stdout)) for process in processes]
        for _, output in pipes:
            output.readline()
        for told, _ in pipes:
            told.write("\n")
            told.flush()
        written = [process.communicate(timeout=flood.seconds + GRACE)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if any(process.returncode for process in processes):
        raise CannotMeasure(f"The flood on {flood.path} failed; its complaint is above.")
    results = [json.loads(text) for text in written]
    milliseconds = [each for result in results for each in result["milliseconds"]]
    return {
        "rate": round(sum(len(result["milliseconds"]) / result["seconds"] for result in results), 1),
        "good": len(milliseconds),
        "errors": sum(result["errors"] for result in results),
        "p50": quantile(milliseconds, 0.50),
        "p99": quantile(milliseconds, 0.99),
        "seconds": max(result["seconds"] for result in results),
        "load_cpu": sum(result["cpu"] for result in results),
    }
