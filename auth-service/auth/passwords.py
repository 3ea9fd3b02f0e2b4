"""Have passwords hashed and checked: few at a time, beside all other work.

Callers wait for their turn, and those of a higher rank go first: log-ins to accounts that there are. The
other ranks and each address may have a share of the places in the queue, so that no flood fills it.
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
AT_ONCE = 1  # Processes that hash; more processors means more replicas, as everywhere.
WAITING = 12  # Others that may wait, each with one of the 16 threads of the server.
# A third of all that hash or wait is for each of the lower ranks at most. Once two thirds are taken, an
# address gets no more than a third either: before, a whole office may be behind it; after, one place is left
# for others even if two addresses flood.
SHARE = 3
PATIENCE = 5.0  # Seconds that one of them waits for its turn and its hash.
UNHURRIED = 60.0  # The same for a command, which no request waits for.

HASHING = Path(__file__).with_name("hashing.py")

log = logging.getLogger(__name__)


class Checked(NamedTuple):
    """Whether the password was right, and what should replace a hash that is weaker than today's."""

    is_right: bool
    fresh_hash: str | None = None


class Rank(IntEnum):
    """Who has a turn first."""

    KNOWN = 0  # The password of an account that there is.
    UNKNOWN = 1  # A log-in with a name that no account has.
    NEW = 2  # The password of an account to be made.


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
        self._most = at_once + waiting
        self._share = max(1, self._most // SHARE)
        self._patience = patience
        # All of these change with the condition's lock alone.
        self._changed = threading.Condition()
        self._free = [HashingProcess(memory_kib, passes) for _ in range(at_once)]
        self._inside = dict.fromkeys(Rank, 0)
        self._waiting = dict.fromkeys(Rank, 0)
        self._by_place: Counter[str] = Counter()

    def prepare(self) -> None:
        """Start what is not running and not at work, so that no log-in has to wait for the start."""
        with self._changed:
            for process in self._free:
                process.start()

    def require_room(self, rank: Rank, place: str = "") -> None:
        """Raise HashingBusy if another would find no room just now, before anything else is done for it.

        `place` is where a visitor calls from; a command has none.
        """
        inside = sum(self._inside.values())
        is_full, is_crowded = inside >= self._most, inside >= self._most - self._share - 1
        is_over_share = rank is not Rank.KNOWN and self._inside[rank] >= self._share
        takes_too_much = is_crowded and place and self._by_place[place] >= self._share
        if is_full or is_over_share or takes_too_much:
            raise HashingBusy

    def hash(self, password: str) -> str:
        """Return the hash to store; raise HashingBusy when too many wait."""
        return str(self._ask(Rank.NEW, "", "hash", password))

    def choose(
        self, password: str, own_words: Sequence[str], *, rank: Rank = Rank.NEW, place: str = ""
    ) -> str | None:
        """Return the hash of a new password; None if few guesses would find it.

        `own_words` are tried first by those who know the owner. Raises HashingBusy when too many wait.
        """
        chosen = self._ask(rank, place, "choose", password, list(own_words))
        return None if chosen is None else str(chosen)

    def matches(self, password_hash: str | None, password: str, *, place: str = "") -> bool:
        """Tell whether the password is the hash's; without a hash it takes as long, and is not."""
        return self.check(password_hash, password, place=place).is_right

    def check(self, password_hash: str | None, password: str, *, place: str = "") -> Checked:
        """Do the same, and hash a right password anew if today's parameters are other than its hash's."""
        rank = Rank.UNKNOWN if password_hash is None else Rank.KNOWN
        return Checked(*self._ask(rank, place, "check", password, password_hash))

    def _ask(self, rank: Rank, place: str, *question: Any) -> Any:
        """Return what a process answers; raise HashingBusy without room or time."""
        deadline = time.monotonic() + self._patience
        with self._turn(rank, place) as process:
            try:
                return process.ask(question, deadline)
            except OSError as error:
                raise HashingBusy from error

    @contextmanager
    def _turn(self, rank: Rank, place: str) -> Iterator["HashingProcess"]:
        """Give a block a process, once it is the block's turn; raise HashingBusy without room or time."""

        def is_next() -> bool:
            return bool(self._free) and not any(self._waiting[higher] for higher in Rank if higher < rank)

        with self._changed:
            self.require_room(rank, place)
            self._inside[rank] += 1
            self._by_place[place] += 1
            self._waiting[rank] += 1
            is_ours = self._changed.wait_for(is_next, self._patience)
            self._waiting[rank] -= 1
            process = self._free.pop() if is_ours else None
            # Lower ranks have waited for this one.
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
    """A process that hashes for one at a time: started when it is first asked, and anew if it has gone."""

    def __init__(self, memory_kib: int, passes: int) -> None:
        self._command = [sys.executable, "-I", str(HASHING), str(memory_kib), str(passes)]
        self._end: weakref.finalize[Any, HashingProcess] | None = None

    def ask(self, question: Sequence[Any], deadline: float) -> Any:
        """Return its answer.

        Raises TimeoutError after the deadline, by the monotonic clock, and ends the process with what it
        does; ConnectionError if it goes away over this question twice.
        """
        try:
            return self._ask(question, deadline)
        except ConnectionError:
            log.warning("The process that hashes passwords has gone; another is started.")
            return self._ask(question, deadline)

    def start(self) -> None:
        """Start the process, unless it was."""
        if self._end is None:
            self._start()

    def _ask(self, question: Sequence[Any], deadline: float) -> Any:
        self.start()
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
