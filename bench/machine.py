"""The machine of a run, with two speeds by which the numbers of two machines can be compared."""

import os
import platform
import subprocess
import tempfile
import timeit
from pathlib import Path
from typing import Any

from local import gateway, postgres
from local.settings import ROOT

BLOCK = 8192  # Bytes of a page, as PostgreSQL's log writes them.
TIMES = 50  # In a round.


def describe_machine() -> dict[str, Any]:
    """Return cores, memory, versions and the commit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("model name")[2].partition("\n")[0]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu.partition(":")[2].strip() or platform.machine(),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgresql": _run([postgres.find("postgres"), "--version"]).rpartition(" ")[2],
        "nginx": gateway.read_version(gateway.find_nginx()).strip().rpartition("/")[2],
        "commit": _run(["git", "describe", "--always", "--dirty", "--abbrev=12"]) or None,
    }


def calibrate(folder: Path) -> dict[str, float]:
    """Return how often per second one core runs a fixed loop, and the disk syncs a small write."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:

        def write() -> None:
            file.write(bytes(BLOCK))
            os.fdatasync(file.fileno())

        # The best of several rounds, because a disturbance only slows a round down.
        loops, writes = (min(timeit.repeat(work, number=TIMES)) for work in (_loop, write))
    return {"python_loops": round(TIMES / loops, 1), "disk_syncs": round(TIMES / writes, 1)}


def _loop() -> int:
    """Do in small what services do: build dictionaries, call, compare and format."""
    rows = ({"title": f"product {number}", "stock": number % 7} for number in range(10_000))
    return sum(len(str(row["title"])) if row["stock"] else 1 for row in rows)


def _run(command: list[str]) -> str:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""
