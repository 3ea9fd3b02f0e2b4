"""Hash and check passwords in separate processes, few at a time.

Requests wait in a queue. Log-ins to existing accounts have the highest rank and run first. The other ranks
and each address get a share of the queue, so that no flood fills it.
"""

import json
import logging
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from auth.errors import HashingBusy

# argon2id with 19 MiB, two passes and one lane: the floor of OWASP's Password Storage Cheat Sheet.
MEMORY_KIB = 19 * 1024
PASSES = 2
AT_ONCE = 1  # Hashing processes. To use more processors, run more replicas.
WAITING = 12  # The most requests in the queue; each occupies one of the server's 16 threads.
# Each of the lower ranks gets at most a third of all places. Once two thirds are taken, an address gets at
# most a third, too. Until then an address may take more, because a whole office may share it. Afterwards one
# place is left for other addresses, even if two addresses flood.
SHARE = 3
PATIENCE = 15.0  # Seconds that a request waits for its turn; the queue bounds how many wait.
COMMAND_PATIENCE = 60.0  # The same for a command.
# Least seconds for the hash itself. On a busy machine a hash takes seconds, and a killed process must start
# again, which takes longer still. Only a stuck process exceeds this time.
HASH_SECONDS = 15.0

HASHING = Path(__file__).with_name("hashing.py")

log = logging.getLogger(__name__)


class Checked(NamedTuple):
    """Whether the password is right, and a new hash if the old one has outdated parameters."""

    is_right: bool
    fresh_hash: str | None = None


class Rank(IntEnum):
    """The order of the queue, lowest first."""

    KNOWN = 0  # A password of an existing account.
    UNKNOWN = 1  # A log-in with an unknown name.
    NEW = 2  # The password of a new account.


class Passwords:
    """An argon2id hasher that limits processor time and memory even during a flood of log-ins."""

    def __init__(
        self,
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
        at_once: int = AT_ONCE,
        waiting: int = WAITING,
        patience: float = PATIENCE,
    ) -> None:
        self._most = at_once + waiting
        self._share = max(1, self._most // SHARE)
        self._patience = patience
        # The lock of the condition guards the attributes below.
        self._changed = threading.Condition()
        self._free = [HashingProcess(memory_kib, passes) for _ in range(at_once)]
        self._inside = dict.fromkeys(Rank, 0)
        self._waiting = dict.fromkeys(Rank, 0)
        self._by_place: Counter[str] = Counter()

    def prepare(self) -> None:
        """Start the idle processes that are not running, so that no log-in waits for the start."""
        with self._changed:
            for process in self._free:
                process.start()

    def require_room(self, rank: Rank, place: str = "") -> None:
        """Raise HashingBusy if the queue has no room for another request of this rank and place.

        `place` is the visitor's place; a command has none.
        """
        inside = sum(self._inside.values())
        is_full, is_crowded = inside >= self._most, inside >= self._most - self._share - 1
        is_over_share = rank is not Rank.KNOWN and self._inside[rank] >= self._share
        takes_too_much = is_crowded and place and self._by_place[place] >= self._share
        if is_full or is_over_share or takes_too_much:
            raise HashingBusy

    def hash(self, password: str) -> str:
        """Return the hash to store; raise HashingBusy if the queue is full."""
        return str(self._call(Rank.NEW, "", "hash", password))

    def choose(
        self, password: str, own_words: Sequence[str], *, rank: Rank = Rank.NEW, place: str = ""
    ) -> str | None:
        """Return the hash of a new password; None if few guesses find it.

        `own_words` are the owner's, which attackers guess first. Raises HashingBusy if the queue is full.
        """
        chosen = self._call(rank, place, "choose", password, list(own_words))
        return None if chosen is None else str(chosen)

    def matches(self, password_hash: str | None, password: str, *, place: str = "") -> bool:
        """Return whether the password matches the hash; without a hash, return False after the same time."""
        return self.check(password_hash, password, place=place).is_right

    def check(self, password_hash: str | None, password: str, *, place: str = "") -> Checked:
        """Do the same, and also hash a right password again if the parameters of its hash are outdated."""
        rank = Rank.UNKNOWN if password_hash is None else Rank.KNOWN
        return Checked(*self._call(rank, place, "check", password, password_hash))

    def _call(self, rank: Rank, place: str, *request: Any) -> Any:
        """Return the response of a process; raise HashingBusy without room or time."""
        with self._turn(rank, place) as process:
            try:
                return process.call(request, time.monotonic() + max(HASH_SECONDS, self._patience))
            except OSError as error:
                raise HashingBusy from error

    @contextmanager
    def _turn(self, rank: Rank, place: str) -> Iterator["HashingProcess"]:
        """Wait for a turn and yield a process; raise HashingBusy without room or time."""

        def is_next() -> bool:
            return bool(self._free) and not any(self._waiting[higher] for higher in Rank if higher < rank)

        with self._changed:
            self.require_room(rank, place)
            self._inside[rank] += 1
            self._by_place[place] += 1
            self._waiting[rank] += 1
            has_turn = self._changed.wait_for(is_next, self._patience)
            self._waiting[rank] -= 1
            process = self._free.pop() if has_turn else None
            # Lower ranks wait until no higher rank waits.
            self._changed.notify_all()
        try:
            if process is None:
                raise HashingBusy
            yield process
        finally:
            with self._changed:
                self._inside[rank] -= 1
                self._by_place[place] -= 1
                if not self._by_place[place]:
                    del self._by_place[place]
                if process:
                    self._free.append(process)
                self._changed.notify_all()


class HashingProcess:
    """A process that hashes one password at a time; it starts on demand and restarts after it died."""

    def __init__(self, memory_kib: int, passes: int) -> None:
        self._command = [sys.executable, "-I", str(HASHING), str(memory_kib), str(passes)]
        self._end: weakref.finalize[Any, HashingProcess] | None = None

    def call(self, request: Sequence[Any], deadline: float) -> Any:
        """Return the response to a request.

        Raises TimeoutError after the deadline (monotonic clock) and kills the process; raises ConnectionError
        if the process dies twice during this request.
        """
        try:
            return self._call(request, deadline)
        except ConnectionError:
            log.warning("The password hashing process died; starting a new one.")
            return self._call(request, deadline)

    def start(self) -> None:
        """Start the process if it is not running."""
        if self._end is None:
            self._start()

    def _call(self, request: Sequence[Any], deadline: float) -> Any:
        self.start()
        try:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            if response := self._responses.readline():
                return json.loads(response)
            raise ConnectionResetError
        except OSError:
            self.end()
            raise

    def end(self) -> None:
        """Kill the process, if there is one."""
        if self._end is not None:
            self._end()
            self._end = None

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._responses = self._socket.makefile("rb")
        with closing(theirs):
            # In a separate session its priority applies against all other sessions, and Ctrl-C does not reach
            # it. It ends when this side of the socket closes.
            process = subprocess.Popen(
                self._command, stdin=theirs.fileno(), stdout=theirs.fileno(), start_new_session=True
            )
        # Without a call of `end`, the process ends with this object or with the interpreter.
        self._end = weakref.finalize(self, _end, process, self._socket, self._responses)


def _end(process: subprocess.Popen[bytes], *files: Any) -> None:
    process.kill()
    process.wait()
    for file in files:
        file.close()
