"""Hash and check passwords, a bounded number at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from auth.errors import HashingBusy

# argon2id with 19 MiB, two passes and one lane: the floor of OWASP's Password Storage Cheat Sheet.
MEMORY_KIB = 19 * 1024
AT_ONCE = 2
PATIENCE = 2.0  # Seconds that a log-in waits for its turn.


class Passwords:
    """An argon2id hasher that a flood of log-ins cannot make eat the machine."""

    def __init__(self, *, at_once: int = AT_ONCE, patience: float = PATIENCE) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=MEMORY_KIB, parallelism=1)
        self._turns = threading.BoundedSemaphore(at_once)
        self._patience = patience
        self._nobody = self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """Return the hash to store; raise HashingBusy when too many wait."""
        with self._turn():
            return self._hasher.hash(password)

    def matches(self, password_hash: str | None, password: str) -> bool:
        """Tell whether the password is the hash's; without a hash it takes as long, and is not."""
        with self._turn():
            try:
                return (
                    self._hasher.verify(password_hash or self._nobody, password) and password_hash is not None
                )
            except (VerificationError, InvalidHashError):
                return False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._patience):
            raise HashingBusy
        try:
            yield
        finally:
            self._turns.release()
