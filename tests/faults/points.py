"""Fault points: places at which a service stops until the test resumes it or kills a part.

There is one before and after each call to another service and each commit. The services' own code has none: a
process started by `tests.faults.launch` wraps the functions through which all calls and commits go. The name
of a point describes it, such as `orders-service: before commit of place_order 1`; the number counts the
passes of one order. A test learns the names from an undisturbed order. Points without a commit between them
are one state of the system.
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

FOLDER = "FAULT_POINTS"  # The variable with the folder through which a test and the processes communicate.
AT_ONCE = 6  # Orders that stop concurrently, each perhaps with one of the eight connections of a process.
LONGEST_STOP = 30.0  # Seconds after which a forgotten process resumes.
WRITES = re.compile(r"\b(INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
UNKNOWN = "-"  # In the trace, if a thread does not know yet for which request it works.


class Point(NamedTuple):
    """A point that the work of a request has passed."""

    name: str
    is_claim: bool = False  # The process did not know the request yet.

    @property
    def service(self) -> str:
        """The service of the process."""
        return self.name.partition(":")[0]

    @property
    def is_commit(self) -> bool:
        """Return whether this point follows a commit."""
        return ": after commit of " in self.name


class State(NamedTuple):
    """The points of a service between two commits of any service; killing it at any of them is equivalent."""

    points: tuple[Point, ...]
    next_commit: str  # It distinguishes journeys whose earlier points have the same names.

    @property
    def latest(self) -> str:
        """The last point, where the process has done the most and may have an open transaction."""
        return [point.name for point in self.points if not point.is_claim][-1]


class Points:
    """The fault points from the test's side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "trace").touch()

    def read_trace(self, request_id: str) -> list[Point]:
        """Return the points that the work of a request has passed, in order.

        A thread's work just before it learns the request, such as claiming an order, belongs to the request.
        """
        passed: dict[int, Point] = {}
        claims: dict[str, list[tuple[int, str]]] = {}
        for number, line in enumerate((self.folder / "trace").read_text().splitlines()):
            thread, owner, name = line.split(" ", 2)
            if owner == UNKNOWN:
                claims.setdefault(thread, []).append((number, name))
                continue
            claimed = claims.pop(thread, [])
            if owner == request_id:
                passed |= {earlier: Point(claim, is_claim=True) for earlier, claim in claimed}
                passed[number] = Point(name)
        return [point for _number, point in sorted(passed.items())]

    def arm(self, request_id: str, name: str) -> None:
        """Stop the next process that reaches this point in the work of this request."""
        _write(self.folder / f"armed-{request_id}", name)

    def find_stopped(self, request_id: str) -> int | None:
        """Return the id of the process that has stopped for this request."""
        with suppress(FileNotFoundError):
            return int((self.folder / f"reached-{request_id}").read_text())
        return None

    def resume(self, request_id: str) -> None:
        """Resume the process, if it is still alive."""
        (self.folder / f"armed-{request_id}").unlink(missing_ok=True)
        (self.folder / f"go-{request_id}").touch()


def find_states(trace: list[Point], service: str) -> list[State]:
    """Return the states of the system during the work of a service; commits separate them."""
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
    """The fault points from a process's side."""

    def __init__(self, folder: Path, service: str) -> None:
        self._folder = folder
        self._service = service
        self._counted: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def reach(self, what: str) -> None:
        """Record that the current work has reached this point, and stop if a test has armed it."""
        work = context.current()
        request_id = work.request_id if work else UNKNOWN
        name = f"{self._service}: {what}"
        if work:
            with self._lock:
                self._counted[request_id, name] += 1
                name += f" {self._counted[request_id, name]}"
        with (self._folder / "trace").open("a") as trace:
            trace.write(f"{threading.get_native_id()} {request_id} {name}\n")
        for armed in self._folder.glob("armed-*") if work is None else [self._folder / f"armed-{request_id}"]:
            # If several threads are here, only one of them renames the file.
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
    """Wrap the functions through which every call and every commit goes."""
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
            # A read-only transaction has nothing to commit.
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
        # Before its only statement, nothing has happened since the previous point.
        if any(written):
            stopper.reach(f"after commit of {name}")

    ServiceClient.request = stop_around_call  # type: ignore[assignment,method-assign]
    Database.transaction = stop_around_commit  # type: ignore[method-assign]
    Database.autocommit = stop_after_statement  # type: ignore[method-assign]


def _name_caller(frame: FrameType | None) -> str:
    """Return the function that owns the transaction: the first outside this module and contextlib."""
    while frame and frame.f_code.co_filename.endswith(("points.py", "contextlib.py")):
        frame = frame.f_back
    return frame.f_code.co_name if frame else "no function"


def _write(file: Path, content: str) -> None:
    temporary = file.with_name(f"new-{file.name}")
    temporary.write_text(content)
    temporary.rename(file)


def create_app() -> ServiceFlask:
    """Return the service that SERVICE names, with fault points; gunicorn calls this."""
    service = os.environ["SERVICE"]
    install(Stopper(Path(os.environ[FOLDER]), service))
    module: Any = import_module(f"{package_of(service)}.app")
    if service == "orders-service":
        # Several orders stop concurrently, and each needs its own thread.
        module.RESUMERS = module.SETTLERS = AT_ONCE
        module.MOST = 1
    app: ServiceFlask = module.create_app()
    return app
