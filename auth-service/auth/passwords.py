"""Hash and check passwords: few at a time, in threads that let everybody else go first."""

import os
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import NamedTuple, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from auth.errors import HashingBusy

# argon2id with 19 MiB, two passes and one lane: the floor of OWASP's Password Storage Cheat Sheet.
MEMORY_KIB = 19 * 1024
PASSES = 2
AT_ONCE = 1  # Hashes of a process; more processors means more replicas, as everywhere.
WAITING = 8  # Others that may wait, each with one of the 16 threads of the server.
PATIENCE = 5.0  # Seconds that one of them waits for its turn and its hash.
NICENESS = 19  # The lowest priority: a hash is worked on while nobody else wants the processor.

T = TypeVar("T")


class Checked(NamedTuple):
    """Whether the password was right, and what should replace a hash that is weaker than today's."""

    is_right: bool
    fresh_hash: str | None = None


class Passwords:
    """An argon2id hasher that a flood of log-ins cannot make eat the machine.

    Passwords are hashed as NFKC, so that it does not matter which keyboard wrote them (NIST SP 800-63B).
    """

    def __init__(
        self,
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
        at_once: int = AT_ONCE,
        waiting: int = WAITING,
        patience: float = PATIENCE,
    ) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(at_once, "hash-passwords", initializer=_step_back)
        self._places = threading.BoundedSemaphore(at_once + waiting)
        self._patience = patience
        self._nobody = self._hasher.hash("nobody has this password")

    def require_room(self) -> None:
        """Raise HashingBusy if another would find no room just now, before anything else is done for it."""
        if not self._places.acquire(blocking=False):
            raise HashingBusy
        self._places.release()

    def hash(self, password: str) -> str:
        """Return the hash to store; raise HashingBusy when too many wait."""
        return self._run(lambda: self._hasher.hash(_normalize(password)))

    def matches(self, password_hash: str | None, password: str) -> bool:
        """Tell whether the password is the hash's; without a hash it takes as long, and is not."""
        return self.check(password_hash, password).is_right

    def check(self, password_hash: str | None, password: str) -> Checked:
        """Do the same, and hash a right password anew if today's parameters are other than its hash's."""
        return self._run(lambda: self._check(password_hash, _normalize(password)))

    def _check(self, password_hash: str | None, password: bytes) -> Checked:
        try:
            self._hasher.verify(password_hash or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return Checked(is_right=False)
        if password_hash is None:
            return Checked(is_right=False)
        outdated = self._hasher.check_needs_rehash(password_hash)
        return Checked(is_right=True, fresh_hash=self._hasher.hash(password) if outdated else None)

    def _run(self, job: Callable[[], T]) -> T:
        """Return what the job returns, from one of the threads; raise HashingBusy without room or time."""
        if not self._places.acquire(blocking=False):
            raise HashingBusy
        future: Future[T] = self._threads.submit(job)
        # The place is taken until the job is over, or was thrown away: its memory is in use as long.
        future.add_done_callback(lambda _done: self._places.release())
        try:
            return future.result(self._patience)
        except FutureTimeout as error:
            future.cancel()
            raise HashingBusy from error


def _normalize(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _step_back() -> None:
    """Give this thread the lowest priority, where the system has such a thing for a thread."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
