"""The processor time that requests cost the workers of nginx."""

import http.client
import time
from collections.abc import Mapping
from typing import Self

import psutil

from tests.gateway.harness import PATIENCE

NO_HEADERS: Mapping[str, str] = {}


def read_processor_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process.

    The CPU clock of a process (clock_getcpuclockid(3)) has nanoseconds; /proc has hundredths of a second.
    """
    return time.clock_gettime((~process.pid << 3) | 2)


class Meter:
    """A connection to an nginx whose master process is known."""

    def __init__(self, leader: int, port: int) -> None:
        self._workers = psutil.Process(leader).children()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self._connection.close()

    def cost(self, path: str, headers: Mapping[str, str] = NO_HEADERS, calls: int = 1) -> float:
        """Return the average processor time of a request in seconds."""
        before = self._spent()
        for _ in range(calls):
            self._connection.request("GET", path, headers=dict(headers))
            self._connection.getresponse().read()
        return (self._spent() - before) / calls

    def _spent(self) -> float:
        return sum(map(read_processor_seconds, self._workers))
