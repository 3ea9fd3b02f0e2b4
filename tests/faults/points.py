"""Fault points: places at which a service stops until the test lets it go on, or kills something first.

There is one before and after each call to another service and each commit. None is in the services' own code:
a process that is started by `tests.faults.launch` has the two functions wrapped through which all of them go.
A point's name is made of what is there, such as `orders-service: before commit of place_order 1`; the number
counts how often the order's work came by. A test learns the names from an order that nothing happens to.
"""

import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import event, text

from shared import context
from shared.app import ServiceFlask
from shared.database import Connection, Database
from shared.service import package_of
from shared.service_calls import ServiceClient
from tests.waiting import wait_for

FOLDER = "FAULT_POINTS"  # The variable that names the folder by which a test and the processes talk.
LONGEST_STOP = 30.0  # Seconds after which a forgotten process goes on.
WRITES = re.compile(r"\b(INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


class Points:
    """The test's side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "trace").touch()

    def read_names(self, request_id: str) -> list[str]:
        """Return the points that the work of a request has passed, each once, in their order.

        What a process does before it knows for whom, such as choosing an order to go on with, counts as well.
        """
        names = {}
        for line in (self.folder / "trace").read_text().splitlines():
            whose, _, name = line.partition(" ")
            if whose == request_id or (whose == "-" and names):
                names[name] = None
        return list(names)

    def arm(self, request_id: str, name: str) -> None:
        """Stop the next process that comes to this point in the work of this request."""
        _write(self.folder / "armed", f"{request_id}\n{name}")

    def wait_until_reached(
        self, request_id: str, *, unless: Callable[[], bool], seconds: float = 60.0
    ) -> int | None:
        """Return the id of the process that has stopped, or None if something else came first."""
        reached = self.folder / f"reached-{request_id}"
        wait_for(lambda: reached.exists() or unless(), seconds=seconds)
        return int(reached.read_text()) if reached.exists() else None

    def go_on(self, request_id: str) -> None:
        """Let the process go on, if it still lives."""
        (self.folder / "armed").unlink(missing_ok=True)
        (self.folder / f"go-{request_id}").touch()


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
        request_id = work.request_id if work else "-"
        name = f"{self._service}: {what}"
        if work:
            with self._lock:
                self._counted[request_id, name] += 1
                name += f" {self._counted[request_id, name]}"
        with (self._folder / "trace").open("a") as trace:
            trace.write(f"{request_id} {name}\n")
        with suppress(FileNotFoundError):
            wanted, _, armed = (self._folder / "armed").read_text().partition("\n")
            if armed == name and request_id in {wanted, "-"}:
                self._stop(wanted)

    def _stop(self, request_id: str) -> None:
        # Of several that come by at once one finds the file.
        (self._folder / "armed").rename(self._folder / "claimed")
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
            # Whoever has only read has nothing to commit, and nothing to lose.
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
    return frame.f_code.co_name if frame else "nobody"


def _write(file: Path, words: str) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(words)
    fresh.rename(file)


def create_app() -> ServiceFlask:
    """Return the service that SERVICE names, with fault points; gunicorn calls this."""
    service = os.environ["SERVICE"]
    install(Stopper(Path(os.environ[FOLDER]), service))
    app: ServiceFlask = import_module(f"{package_of(service)}.app").create_app()
    return app
