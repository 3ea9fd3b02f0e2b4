"""What the numbers were measured on, and how fast that is by itself, so that two machines can be compared."""

import hashlib
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from argon2.low_level import Type, hash_secret

from local import gateway, postgres
from local.settings import ROOT

PACKAGES = ("flask", "gunicorn", "sqlalchemy", "psycopg", "pydantic", "pyjwt", "cryptography", "locust")
BLOCK = 8192  # Bytes of a page, as PostgreSQL's log writes them.


def describe_machine() -> dict[str, Any]:
    """Return cores, memory, versions and the commit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _read_field("/proc/cpuinfo", "model name") or platform.machine(),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgresql": _say([postgres.find("postgres"), "--version"]).rpartition(" ")[2],
        "nginx": gateway.read_version(gateway.find_nginx()).strip().rpartition("/")[2],
        "commit": _say(["git", "describe", "--always", "--dirty", "--abbrev=12"]) or None,
        "packages": {name: version(name) for name in PACKAGES},
    }


def calibrate(folder: Path, *, seconds: float = 0.3) -> dict[str, float]:
    """Return how often a second one core of this machine does some fixed work, and its disk a small write.

    A round of each takes so many seconds.
    """
    block = bytes(2**20)
    return {
        "python_loops": _measure(_loop, seconds),
        "sha256_mib": _measure(lambda: hashlib.sha256(block).digest(), seconds),
        "argon2": _measure(_hash_password, seconds),
        "disk_syncs": _measure_disk(folder, seconds),
    }


def _loop() -> int:
    """Do what services do, in small: make dictionaries, call, compare and format."""
    total = 0
    for number in range(10_000):
        row = {"id": number, "title": f"product {number}", "stock": number % 7}
        total += len(row["title"]) if row["stock"] else 1  # type: ignore[arg-type]
    return total


def _hash_password() -> bytes:
    # OWASP's floor for argon2id.
    return hash_secret(
        b"a password",
        b"a salt of sixteen",
        time_cost=2,
        memory_cost=19 * 1024,
        parallelism=1,
        hash_len=32,
        type=Type.ID,
    )


def _measure_disk(folder: Path, seconds: float) -> float:
    file = folder / "calibration"
    with file.open("wb", buffering=0) as stream:

        def write() -> None:
            stream.write(bytes(BLOCK))
            os.fdatasync(stream.fileno())

        rate = _measure(write, seconds)
    file.unlink()
    return rate


def _measure(work: Callable[[], object], seconds: float, *, rounds: int = 3) -> float:
    """Return the best of some rounds: what disturbs a round only makes it slower."""
    best = 0.0
    work()
    for _ in range(rounds):
        count, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < seconds:
            work()
            count += 1
        best = max(best, count / spent)
    return round(best, 1)


def _read_field(file: str, name: str) -> str | None:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def _say(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
