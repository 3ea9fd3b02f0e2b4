"""The time from `make run` with a `.venv` to the first answer, of the shop and of each service."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from bench.report import table
from bench.shop import running_shop, say
from local.sockets import answers
from local.stack import description_in

PERIOD = 0.02  # Seconds between two probes of the services.


def measure(folder: Path, _seconds: float) -> dict[str, Any]:
    """Return the seconds of a start that creates everything, and of one that finds it there."""
    return {"starts": [_measure(folder, "first start"), _measure(folder, "second start")]}


def _measure(folder: Path, title: str) -> dict[str, Any]:
    say(f"{title} …")
    began = time.monotonic()
    with probing(folder / "state") as services, running_shop(folder):
        seconds = time.monotonic() - began
    return {"title": title, "seconds": round(seconds, 2), "services": services}


@contextmanager
def probing(state: Path) -> Iterator[dict[str, float]]:
    """Probe the services of a shop that starts beside a block; yield the seconds until each answers."""
    seconds: dict[str, float] = {}
    stop = threading.Event()

    def probe() -> None:
        while not stop.wait(PERIOD):
            # The description is not there before the start, and a process is not while it restarts.
            with suppress(FileNotFoundError, psutil.NoSuchProcess):
                services = json.loads(description_in(state).read_text(encoding="utf-8"))["services"]
                for name, service in services.items():
                    replica = service["replicas"][0]
                    if name not in seconds and replica["pid"]:
                        began = psutil.Process(replica["pid"]).create_time()
                        if answers("127.0.0.1", replica["port"], "/healthz"):
                            seconds[name] = round(time.time() - began, 2)

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    try:
        yield seconds
    finally:
        stop.set()
        thread.join()


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the table."""
    starts = results["starts"]
    names = sorted({name for start in starts for name in start["services"]})
    rows = [[start["title"], start["seconds"], *map(start["services"].get, names)] for start in starts]
    return [
        "Seconds from `python -m local`, which is `make run` with a `.venv`, to the shop's first answer, and "
        "of each service from the start of its process to its own first answer. The first start creates "
        "secrets, databases and tables; the services start all at once.",
        "",
        *table(" | ".join(["start", "the shop", *names]), rows),
    ]
