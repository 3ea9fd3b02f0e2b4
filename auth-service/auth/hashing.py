"""Hash passwords in a process of its own, which lets others have most of the processor.

    python -I hashing.py KIBIBYTES PASSES

A line of JSON comes in for each password, `["hash", password]` or `["check", password, hash or null]`, and a
line goes out, the hash or `[is_right, fresh_hash or null]`. It ends with whoever asks.

A thread of low priority would not do: while it waits for a processor it may hold the interpreter's lock, and
with it those whom it should leave more room.
"""

import json
import os
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

STEP = 5  # As nice(1) counts: a third of what each of the others gets.


class Hasher:
    """Argon2id with one lane. Passwords are hashed as NFKC, so that it does not matter which keyboard wrote
    them (NIST SP 800-63B).
    """

    def __init__(self, memory_kib: int, passes: int) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._nobody = self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """Return the hash to store."""
        return self._hasher.hash(_normalize(password))

    def check(self, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        """Tell whether the password is the hash's, and what should replace a hash with other parameters.

        Without a hash it takes as long, and is not.
        """
        try:
            self._hasher.verify(password_hash or self._nobody, _normalize(password))
        except (VerificationError, InvalidHashError):
            return False, None
        if password_hash is None:
            return False, None
        outdated = self._hasher.check_needs_rehash(password_hash)
        return True, self.hash(password) if outdated else None


def _normalize(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def step_back() -> None:
    """Let others have most of the processor where there is not enough for all.

    Not all of it: a shop that is busy for long has to let people in as well. Where Linux shares the
    processor out among sessions first, the step is that of this process's session (sched(7), autogroup).
    """
    with suppress(OSError):
        os.nice(STEP)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(STEP))


def answer(hasher: Hasher, line: bytes) -> bytes:
    """Return the answer to a question, each of them a line."""
    name, *arguments = json.loads(line)
    found = hasher.hash(*arguments) if name == "hash" else hasher.check(*arguments)
    return json.dumps(found).encode() + b"\n"


def main() -> None:
    """Answer until nobody asks any more."""
    hasher = Hasher(memory_kib=int(sys.argv[1]), passes=int(sys.argv[2]))
    # Not before: on a busy machine it would be too late with its first answer, be ended, and begin anew.
    step_back()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(answer(hasher, line))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
