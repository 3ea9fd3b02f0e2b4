"""How long the shop takes from `make run` to its first answer, once `.venv` is there; and each service."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from bench.looking import looking
from bench.report import table
from bench.shop import running_shop, say
from local.sockets import answers
from local.stack import description_in

LOOK_EVERY = 0.02  # Seconds.


def measure(folder: Path, _seconds: float) -> dict[str, Any]:
    """Return the seconds of a start that has everything to make, and of one that finds it made."""
    return {"starts": [_measure(folder, "first start"), _measure(folder, "second start")]}


def _measure(folder: Path, title: str) -> dict[str, Any]:
    say(f"{title} …")
    began = time.monotonic()
    services = Services(folder / "state")
    with looking(services.look, LOOK_EVERY), running_shop(folder):
        seconds = time.monotonic() - began
    return {"title": title, "seconds": round(seconds, 2), "services": services.seconds}


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the table."""
    starts = results["starts"]
    services = sorted({name for start in starts for name in start["services"]})
    return [
        "Seconds from `python -m local`, which is `make run` with a `.venv`, to the shop's first answer, and "
        "those of each service from its process to its own first answer. The first start makes secrets, "
        "databases and tables; the services start all at once.",
        "",
        *table(
            ["start", "the shop", *services],
            [
                [
                    start["title"],
                    f"{start['seconds']:.1f}",
                    *(
                        f"{start['services'][name]:.1f}" if name in start["services"] else ""
                        for name in services
                    ),
                ]
                for start in starts
            ],
        ),
    ]


class Services:
    """The services of a shop that starts with this state, and the `seconds` that each took to answer."""

    def __init__(self, state: Path) -> None:
        self.seconds: dict[str, float] = {}
        self._state = state

    def look(self) -> None:
        """Note which of them answer by now."""
        for name, service in self._read_services().items():
            replica = service["replicas"][0]
            if name not in self.seconds and replica["pid"]:
                self._look(name, replica)

    def _look(self, name: str, replica: Mapping[str, Any]) -> None:
        try:
            began = psutil.Process(replica["pid"]).create_time()
        except psutil.NoSuchProcess:
            return  # It is being started again.
        if answers("127.0.0.1", replica["port"], "/healthz"):
            self.seconds[name] = round(time.time() - began, 2)

    def _read_services(self) -> dict[str, Any]:
        try:
            text = description_in(self._state).read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        services: dict[str, Any] = json.loads(text)["services"]
        return services
