"""Make calls at a steady pace, in a process of its own: `python -m bench.callers '{"url": …}'`.

Where bench.load asks how much the shop can do, this asks how long a call takes while something else goes on,
so that the number of calls does not depend on the answers. With a pace of 0 it is a flood.
"""

import http.client
import json
import math
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol
from urllib.parse import urlsplit

TIMEOUT = 20.0  # Seconds for an answer; none at all is counted as status 0.


@dataclass(frozen=True)
class Errand:
    """One call that a client makes over and over, on one connection; its answers are counted under `name`.

    In headers and texts of the body, `{turn}` is another word at each call, and `{address}` another address.
    """

    name: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Orders:
    """Which errands, one client each, how many seconds from call to call, and for how many seconds."""

    url: str
    errands: tuple[Errand, ...]
    pace: float
    seconds: float


def run(orders: Orders) -> dict[str, Any]:
    """Return for each errand's name the statuses and the milliseconds of every answer."""
    answers: list[tuple[str, int, float]] = []
    begins = time.monotonic() + 0.2
    clients = [
        threading.Thread(target=_go, args=(orders, errand, number, begins, answers))
        for number, errand in enumerate(orders.errands)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    results: dict[str, Any] = {}
    for name, status, milliseconds in answers:
        result = results.setdefault(name, {"statuses": {}, "milliseconds": []})
        result["statuses"][str(status)] = result["statuses"].get(str(status), 0) + 1
        result["milliseconds"].append(milliseconds)
    return results


def _go(
    orders: Orders, errand: Errand, number: int, begins: float, answers: list[tuple[str, int, float]]
) -> None:
    host = urlsplit(orders.url).netloc
    body = None if errand.json is None else json.dumps(errand.json)
    headers = dict(errand.headers) | ({} if body is None else {"Content-Type": "application/json"})
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
    for turn in take_turns(orders, number, begins):
        sent = {name: _fill(value, number, turn) for name, value in headers.items()}
        began = time.perf_counter()
        try:
            connection.request(
                errand.method, errand.path, body=body and _fill(body, number, turn), headers=sent
            )
            response = connection.getresponse()
            response.read()
            status = response.status
        except (OSError, http.client.HTTPException):
            connection.close()
            status = 0
        answers.append((errand.name, status, round((time.perf_counter() - began) * 1000, 3)))


class Clock(Protocol):
    """What `time` has of a clock."""

    def monotonic(self) -> float:
        """Return the seconds since some moment."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


def take_turns(orders: Orders, number: int, begins: float, clock: Clock = time) -> Iterator[int]:
    """Yield the number of each turn when its time has come; those that have passed are left out."""
    pace = orders.pace
    if not pace:
        clock.sleep(max(0.0, begins - clock.monotonic()))
        for turn in count():
            if clock.monotonic() >= begins + orders.seconds:
                return
            yield turn
    # The clients take turns instead of calling all at once.
    share = number / len(orders.errands)
    # Rounded, since a whole number of turns may come out a little too large.
    turns = math.ceil(round(orders.seconds / pace - share, 6))
    turn = 0
    while turn < turns:
        clock.sleep(max(0.0, begins + (turn + share) * pace - clock.monotonic()))
        yield turn
        turn = max(turn + 1, math.floor((clock.monotonic() - begins) / pace - share))


def _fill(text: str, number: int, turn: int) -> str:
    address = f"10.{number % 250}.{turn // 250 % 250}.{turn % 250 + 1}"
    return text.replace("{turn}", f"{number}-{turn}").replace("{address}", address)


def read_orders(text: str) -> Orders:
    """Return orders from their JSON."""
    told = json.loads(text)
    return Orders(**{**told, "errands": tuple(Errand(**errand) for errand in told["errands"])})


if __name__ == "__main__":
    print(json.dumps(run(read_orders(sys.argv[1]))))
