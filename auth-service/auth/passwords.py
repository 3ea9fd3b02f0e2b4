"""Have passwords hashed and checked: few at a time, beside everybody else's work."""

import json
import logging
import socket
import subprocess
import sys
import threading
import time
import weakref
from contextlib import closing
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from auth.errors import HashingBusy

# argon2id with 19 MiB, two passes and one lane: the floor of OWASP's Password Storage Cheat Sheet.
MEMORY_KIB = 19 * 1024
PASSES = 2
AT_ONCE = 1  # Processes that hash; more processors means more replicas, as everywhere.
WAITING = 8  # Others that may wait, each with one of the 16 threads of the server.
PATIENCE = 5.0  # Seconds that one of them waits for its turn and its hash.
UNHURRIED = 60.0  # The same for a command, which nobody's request waits for.

HASHING = Path(__file__).with_name("hashing.py")

log = logging.getLogger(__name__)


class Checked(NamedTuple):
    """Whether the password was right, and what should replace a hash that is weaker than today's."""

    is_right: bool
    fresh_hash: str | None = None


class Passwords:
    """An argon2id hasher that a flood of log-ins cannot make eat the machine."""

    def __init__(
        self,
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
        at_once: int = AT_ONCE,
        waiting: int = WAITING,
        patience: float = PATIENCE,
    ) -> None:
        self._places = threading.BoundedSemaphore(at_once + waiting)
        self._free: SimpleQueue[HashingProcess] = SimpleQueue()
        for _ in range(at_once):
            self._free.put(HashingProcess(memory_kib, passes))
        self._patience = patience

    def require_room(self) -> None:
        """Raise HashingBusy if another would find no room just now, before anything else is done for it."""
        if not self._places.acquire(blocking=False):
            raise HashingBusy
        self._places.release()

    def hash(self, password: str) -> str:
        """Return the hash to store; raise HashingBusy when too many wait."""
        return str(self._ask("hash", password))

    def matches(self, password_hash: str | None, password: str) -> bool:
        """Tell whether the password is the hash's; without a hash it takes as long, and is not."""
        return self.check(password_hash, password).is_right

    def check(self, password_hash: str | None, password: str) -> Checked:
        """Do the same, and hash a right password anew if today's parameters are other than its hash's."""
        return Checked(*self._ask("check", password, password_hash))

    def _ask(self, *question: str | None) -> Any:
        """Return what a process answers; raise HashingBusy without room or time."""
        if not self._places.acquire(blocking=False):
            raise HashingBusy
        deadline = time.monotonic() + self._patience
        try:
            process = self._free.get(timeout=self._patience)
            try:
                return process.ask(question, deadline)
            finally:
                self._free.put(process)
        except (Empty, OSError) as error:
            raise HashingBusy from error
        finally:
            self._places.release()


class HashingProcess:
    """A process that hashes for one at a time: started when it is first asked, and anew if it has gone."""

    def __init__(self, memory_kib: int, passes: int) -> None:
        self._command = [sys.executable, "-I", str(HASHING), str(memory_kib), str(passes)]
        self._end: weakref.finalize[Any, HashingProcess] | None = None

    def ask(self, question: tuple[str | None, ...], deadline: float) -> Any:
        """Return its answer.

        Raises TimeoutError after the deadline, by the monotonic clock, and ends the process with what it
        does; ConnectionError if it goes away over this question twice.
        """
        try:
            return self._ask(question, deadline)
        except ConnectionError:
            log.warning("The process that hashes passwords has gone; another is started.")
            return self._ask(question, deadline)

    def _ask(self, question: tuple[str | None, ...], deadline: float) -> Any:
        if self._end is None:
            self._start()
        try:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            self._socket.sendall(json.dumps(question).encode() + b"\n")
            if answer := self._answers.readline():
                return json.loads(answer)
            raise ConnectionResetError
        except OSError:
            self.end()
            raise

    def end(self) -> None:
        """End the process, if there is one."""
        if self._end is not None:
            self._end()
            self._end = None

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._answers = self._socket.makefile("rb")
        with closing(theirs):
            # In a session of its own its priority counts against that of all others, and no Ctrl-C reaches
            # it: it goes when this end of the socket does.
            process = subprocess.Popen(
                self._command, stdin=theirs.fileno(), stdout=theirs.fileno(), start_new_session=True
            )
        # Also where nobody says goodbye: with the object, and with the interpreter.
        self._end = weakref.finalize(self, _end, process, self._socket, self._answers)


def _end(process: subprocess.Popen[bytes], *files: Any) -> None:
    process.kill()
    process.wait()
    for file in files:
        file.close()
