"""Generate load on a server, in separate processes.

A client has one connection and makes its next call when it has the answer to the last one. The clients of a
process share one thread with plain sockets, to leave the cores to a server that answers ten thousand calls a
second.
"""

import heapq
import json
import multiprocessing
import selectors
import socket
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import repeat
from multiprocessing.synchronize import Barrier
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bench.errors import CannotMeasure

TIMEOUT = 20.0  # Seconds to wait for a connection, and after the end for the last answers.
RETRY = 0.01  # Seconds from a lost connection to the next call.
CHUNK = 256 * 1024  # Bytes to read at once.
LAST_CHUNK = b"\r\n0\r\n\r\n"  # The end of a chunked body (RFC 9112, section 7.1).
SPAWN = multiprocessing.get_context("spawn")  # A fork would copy locks that other threads hold.


@dataclass(frozen=True)
class Call:
    """A call to the server, with a body of JSON or of bytes; its answers count under `name`."""

    method: str
    path: str
    json: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    data: bytes = b""

    @cached_property
    def request(self) -> bytes:
        """Return the bytes to send."""
        headers, body = {"Host": "localhost", **self.headers}, self.data
        if self.json is not None:
            headers["Content-Type"], body = "application/json", json.dumps(self.json).encode()
        if self.method != "GET":
            headers["Content-Length"] = str(len(body))
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers)]
        return "\r\n".join([*lines, "", ""]).encode() + body


class Answer(NamedTuple):
    """The answer to a call: the status (0 for none), its milliseconds, and the second of its end."""

    name: str
    status: int
    milliseconds: float
    second: float


# A script controls a client: it yields a call, and gets the answer and its body back.
Script = Generator[Call, Any, None]


@dataclass(frozen=True)
class Plan:
    """The load of one process: its seconds, and a client for each script."""

    url: str
    seconds: float
    make_scripts: Callable[["Load"], Sequence[Script]]


class Found(NamedTuple):
    """The result of one process: the answers, and the seconds and processor seconds of its load."""

    answers: list[Answer]
    seconds: float
    cpu: float


def plan_calls(url: str, calls: Sequence[Call], seconds: float) -> Plan:
    """Return a plan with a client for each call, which it repeats without a pause."""
    return Plan(url, seconds, partial(_make_scripts, calls))


def _make_scripts(calls: Sequence[Call], _load: "Load") -> list[Script]:
    return [follow(repeat(call)) for call in calls]


def run_load(*plans: Plan) -> list[Found]:
    """Run each plan in its own process, all at the same time; raises CannotMeasure."""
    count = max(1, len(plans))
    # A process imports the modules of its arguments before it waits for the others.
    with ProcessPoolExecutor(count, SPAWN, _meet, (SPAWN.Barrier(count), plans)) as pool:
        loads = [pool.submit(_carry_out, plan) for plan in plans]
    for load in loads:
        if error := load.exception():
            raise CannotMeasure(f"The load failed: {error}") from error
    return [load.result() for load in loads]


def _meet(barrier: Barrier, _plans: Sequence[Plan]) -> None:
    """Wait for the other processes, so that all begin at once."""
    barrier.wait(timeout=60)


def _carry_out(plan: Plan) -> Found:
    return Load(plan).run()


class Load:
    """The clients of a process, with their common clock and answers."""

    def __init__(self, plan: Plan) -> None:
        parts = urlsplit(plan.url)
        self.plan = plan
        self.address = parts.hostname or "", parts.port or 80
        self.selector = selectors.DefaultSelector()
        self.answers: list[Answer] = []
        self._due: list[tuple[float, int, Client]] = []  # A heap by the time of the next step.
        self._began = time.perf_counter()

    def clock(self) -> float:
        """Return the seconds since the beginning."""
        return time.perf_counter() - self._began

    def run(self) -> Found:
        """Let the clients make calls until the time is up, and wait for their last answers."""
        clients = [Client(self, script) for script in self.plan.make_scripts(self)]
        self._began, cpu = time.perf_counter(), time.process_time()
        for client in clients:
            self._go_on(client)
        while (self._due or self.selector.get_map()) and self.clock() < self.plan.seconds + TIMEOUT:
            pause = min(1.0, self._due[0][0] - self.clock()) if self._due else 1.0
            for key, _ in self.selector.select(max(0.0, pause)):
                if key.data.read():
                    self._go_on(key.data)
            now = self.clock()
            while self._due and self._due[0][0] <= now:
                self._go_on(heapq.heappop(self._due)[2])
        for client in clients:
            client.fail()
        return Found(self.answers, min(self.clock(), self.plan.seconds), time.process_time() - cpu)

    def _go_on(self, client: "Client") -> None:
        if self.clock() >= self.plan.seconds:
            client.close()
        elif (moment := client.go_on()) is not None:
            heapq.heappush(self._due, (moment, id(client), client))


class Client:
    """A client that follows a script over a connection, which it keeps as long as the server does."""

    def __init__(self, load: Load, script: Script) -> None:
        self._load = load
        self._script = script
        self._socket: socket.socket | None = None
        self._call: Call | None = None  # The call in progress.
        self._reply: tuple[Answer, bytes] | None = None

    def go_on(self) -> float | None:
        """Start the script's next call; return the second of the retry if it could not be sent."""
        try:
            step = self._script.send(self._reply)
        except StopIteration:
            self.close()
            return None
        self._reply = None
        self._call, self._began = step, self._load.clock()
        self._head, self._status, self._tail = b"", 0, b"\r\n"
        self._body: list[bytes] = []
        try:
            if self._socket is None:
                # This does not block: the server is on this machine, and its backlog holds all clients.
                self._socket = socket.create_connection(self._load.address, TIMEOUT)
                self._load.selector.register(self._socket, selectors.EVENT_READ, self)
            self._socket.sendall(step.request)
        except OSError:
            self.fail()
            return self._load.clock() + RETRY
        return None

    def read(self) -> bool:
        """Read the available bytes; return whether the call has ended."""
        try:
            data = self._socket.recv(CHUNK) if self._socket else b""
        except OSError:
            data = b""
        if not data or self._call is None:
            return self.fail()
        if not self._status:
            data = self._read_head(data)
        if not self._status or not self._is_last_part(data):
            return False
        self._end(self._status)
        if self._closes:
            self.close()
        return True

    def fail(self) -> bool:
        """Drop the connection; return whether that ends a call without an answer."""
        self.close()
        if self._call is None:
            return False
        self._end(0)
        return True

    def close(self) -> None:
        """Close the connection."""
        if self._socket:
            self._load.selector.unregister(self._socket)
            self._socket.close()
        self._socket = None

    def _read_head(self, data: bytes) -> bytes:
        """Return the body once it is complete."""
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if not end:
            return b""
        head = head.lower()
        if not head.startswith(b"http/1."):
            raise ValueError(f"{head[:100]!r} is not the beginning of an answer.")
        self._status = int(head.split(b" ", 2)[1])
        length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        self._is_chunked = b"\r\ntransfer-encoding: chunked" in head
        self._missing = int(length or 0)
        self._closes = head.startswith(b"http/1.0") or b"\r\nconnection: close" in head
        return body

    def _is_last_part(self, data: bytes) -> bool:
        self._body.append(data)
        self._missing -= len(data)
        if self._is_chunked:
            self._tail = (self._tail + data)[-len(LAST_CHUNK) :]
            return self._tail == LAST_CHUNK
        return self._missing <= 0

    def _end(self, status: int) -> None:
        now = self._load.clock()
        answer = Answer(self._call.name if self._call else "", status, (now - self._began) * 1000, now)
        self._load.answers.append(answer)
        self._reply, self._call = (answer, b"".join(self._body)), None


def follow(calls: Iterable[Call]) -> Script:
    """Make the calls in turn."""
    for call in calls:  # noqa: UP028  # `yield from` would send the answers to `calls`.
        yield call
