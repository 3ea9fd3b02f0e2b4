"""Hash passwords in a process of its own, which lets others have most of the processor.

    python -I hashing.py KIBIBYTES PASSES

A line of JSON comes in for each password, and a line goes out:

    ["hash", password]                    the hash
    ["choose", password, [own words]]     the hash, or null if few guesses would find the password
    ["check", password, hash or null]     [is_right, fresh_hash or null]

It ends with the process that asks. Guesses are counted here as well, because a hostile password makes that
take as long as a hash.

A thread of low priority would not do: while it waits for a processor it may hold the interpreter's lock, and
with it those whom it should leave more room.
"""

import json
import os
import sys
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn_rs_py import zxcvbn

# A log-in lets a few tries through in an hour, and a stolen hash some twenty in a second. Eight characters at
# random withstand as many guesses.
FEWEST_GUESSES = 10**8
# Characters at either end of a password that guesses are counted for. The time grows with more than their
# square; signs that stand for letters make these take half as long as a hash.
COUNTED = 16
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

    def choose(self, password: str, own_words: list[str]) -> str | None:
        """Return the hash of a new password; None if few guesses find it, the owner's own words first."""
        text = _normalize(password).decode("utf-8", "replace")
        ends = dict.fromkeys((text[:COUNTED], text[-COUNTED:]))
        if all(zxcvbn(end, own_words).guesses < FEWEST_GUESSES for end in ends):
            return None
        return self.hash(password)

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
    answers: dict[str, Callable[..., object]] = {
        "hash": hasher.hash,
        "choose": hasher.choose,
        "check": hasher.check,
    }
    return json.dumps(answers[name](*arguments)).encode() + b"\n"


def main() -> None:
    """Answer until nobody asks any more."""
    hasher = Hasher(memory_kib=int(sys.argv[1]), passes=int(sys.argv[2]))
    # The first count reads the dictionaries.
    zxcvbn("", [])
    # Not before: on a busy machine it would be too late with its first answer, be ended, and begin anew.
    step_back()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(answer(hasher, line))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
