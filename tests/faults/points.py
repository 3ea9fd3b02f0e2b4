"""Fault points: places at which a service stops until the test lets it go on or kills a part.

There is one before and after each call to another service and each commit. None is in the services' own code:
a process that is started by `tests.faults.launch` has the two functions wrapped through which all of them go.
A point's name is made of what is there, such as `orders-service: before commit of place_order 1`; the number
counts how often the order's work came by. A test learns the names from an order that nothing happens to.
Several points are one state of the world, if nothing is committed between them.
"""

import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from sqlalchemy import event, text

from shared import context
from shared.app import ServiceFlask
from shared.database import Connection, Database
from shared.service import package_of
from shared.service_calls import ServiceClient

FOLDER = "FAULT_POINTS"  # The variable that names the folder by which a test and the processes talk.
AT_ONCE = 4  # Orders that stop at once.
LONGEST_STOP = 30.0  # Seconds after which a forgotten process goes on.
WRITES = re.compile(r"\b(INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
NOBODY = "-"  # Stands in the trace where a thread does not know for which request it works.


class Point(NamedTuple):
    """A point that the work of a request has passed."""

    name: str
    is_claim: bool = False  # The process did not know yet for which request it works.

    @property
    def service(self) -> str:
        """The service whose process it is."""
        return self.name.partition(":")[0]

    @property
    def is_commit(self) -> bool:
        """Tell whether something was committed just before this point."""
        return ": after commit of " in self.name


class State(NamedTuple):
    """The points of a service between two commits of any service: to kill it at each of them is the same."""

    points: tuple[Point, ...]
    next_commit: str  # By which declined and bought differ, whose points before it have the same names.

    @property
    def latest(self) -> str:
        """The last point: the process has done most, and may have a transaction open."""
        return [point.name for point in self.points if not point.is_claim][-1]


class Points:
    """The test's side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "trace").touch()

    def read_trace(self, request_id: str) -> list[Point]:
        """Return the points that the work of a request has passed, in their order.

        What a thread does just before it knows for whom, such as claiming an order, belongs to the request.
        """
        passed: dict[int, Point] = {}
        claims: dict[str, list[tuple[int, str]]] = {}
        for number, line in enumerate((self.folder / "trace").read_text().splitlines()):
            thread, whose, name = line.split(" ", 2)
            if whose == NOBODY:
                claims.setdefault(thread, []).append((number, name))
                continue
            claimed = claims.pop(thread, [])
            if whose == request_id:
                passed |= {earlier: Point(claim, is_claim=True) for earlier, claim in claimed}
                passed[number] = Point(name)
        return [point for _number, point in sorted(passed.items())]

    def arm(self, request_id: str, name: str) -> None:
        """Stop the next process that comes to this point in the work of this request."""
        _write(self.folder / f"armed-{request_id}", name)

    def find_stopped(self, request_id: str) -> int | None:
        """Return the id of the process that has stopped for this request."""
        with suppress(FileNotFoundError):
            return int((self.folder / f"reached-{request_id}").read_text())
        return None

    def go_on(self, request_id: str) -> None:
        """Let the process go on, if it still lives."""
        (self.folder / f"armed-{request_id}").unlink(missing_ok=True)
        (self.folder / f"go-{request_id}").touch()


def find_states(trace: list[Point], service: str) -> list[State]:
    """Return the states that the world was in while a service worked, told apart by commits."""
    states: list[State] = []
    points: list[Point] = []
    for point in [*trace, Point("the end: after commit of nothing")]:
        if point.is_commit:
            if any(not each.is_claim for each in points):
                states.append(State(tuple(points), point.name))
            points = []
        if point.service == service:
            points.append(point)
    return states


class Stopper:
    """A process's side."""

    def __init__(self, folder: Path, service: str) -> None:
        self._folder = folder
        self._service = service
        self._counted: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def reach(self, what: str) -> None:
        """Write down that the work at hand came by, and stop if a test asked for it."""
        work = context.current()
        request_id = work.request_id if work else NOBODY
        name = f"{self._service}: {what}"
        if work:
            with self._lock:
                self._counted[request_id, name] += 1
                name += f" {self._counted[request_id, name]}"
        with (self._folder / "trace").open("a") as trace:
            trace.write(f"{threading.get_native_id()} {request_id} {name}\n")
        for armed in self._folder.glob("armed-*") if work is None else [self._folder / f"armed-{request_id}"]:
            # Of several threads that come by at once, one takes the file away.
            with suppress(FileNotFoundError):
                if armed.read_text() == name:
                    self._stop(armed.rename(self._folder / armed.name.replace("armed", "claimed")))

    def _stop(self, claimed: Path) -> None:
        request_id = claimed.name.removeprefix("claimed-")
        _write(self._folder / f"reached-{request_id}", str(os.getpid()))
        deadline = time.monotonic() + LONGEST_STOP
        while not (self._folder / f"go-{request_id}").exists() and time.monotonic() < deadline:
            time.sleep(0.005)


def install(stopper: Stopper) -> None:
    """Wrap what every call and every commit goes through."""
    request, transaction, autocommit = ServiceClient.request, Database.transaction, Database.autocommit

    def stop_around_call(self: ServiceClient, method: str, path: str, **options: Any) -> Any:
        call = f"{method} {ID.sub('{id}', path)}"
        stopper.reach(f"before {call}")
        answer = request(self, method, path, **options)
        stopper.reach(f"after {call}")
        return answer

    @contextmanager
    def stop_around_commit(self: Database) -> Iterator[Connection]:
        name = _name_caller(sys._getframe())
        with transaction(self) as connection:
            yield connection
            # A transaction that has only read has nothing to commit, and nothing to lose.
            writes = connection.execute(text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")).scalar()
            if writes:
                stopper.reach(f"before commit of {name}")
        if writes:
            stopper.reach(f"after commit of {name}")

    @contextmanager
    def stop_after_statement(self: Database) -> Iterator[Connection]:
        name, written = _name_caller(sys._getframe()), []

        def note(_connection: Any, cursor: Any, statement: str, *_rest: Any) -> None:
            if WRITES.search(statement):
                written.append(cursor.rowcount)

        with autocommit(self) as connection:
            event.listen(connection, "after_cursor_execute", note)
            yield connection
        # Before its only statement nothing has happened since the point before.
        if any(written):
            stopper.reach(f"after commit of {name}")

    ServiceClient.request = stop_around_call  # type: ignore[assignment,method-assign]
    Database.transaction = stop_around_commit  # type: ignore[method-assign]
    Database.autocommit = stop_after_statement  # type: ignore[method-assign]


def _name_caller(frame: FrameType | None) -> str:
    """Return the function whose transaction it is: the first one outside of here and of contextlib."""
    while frame and frame.f_code.co_filename.endswith(("points.py", "contextlib.py")):
        frame = frame.f_back
    return frame.f_code.co_name if frame else "no function"


def _write(file: Path, words: str) -> None:
    fresh = file.with_name(f"new-{file.name}")
    fresh.write_text(words)
    fresh.rename(file)


def create_app() -> ServiceFlask:
    """Return the service that SERVICE names, with fault points; gunicorn calls this."""
    service = os.environ["SERVICE"]
    install(Stopper(Path(os.environ[FOLDER]), service))
    module: Any = import_module(f"{package_of(service)}.app")
    if service == "orders-service":
        # Several orders stop at once here, each in a thread of its own that works for it alone.
        module.RESUMERS = module.SETTLERS = AT_ONCE
        module.MOST = 1
    app: ServiceFlask = module.create_app()
    return app
