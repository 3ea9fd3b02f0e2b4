"""Hash passwords in a separate process with a lower priority.

    python -I hashing.py KIBIBYTES PASSES

The process reads one request per line and writes one response per line, both as JSON:

    ["hash", password]                    the hash
    ["choose", password, [own words]]     the hash, or null if few guesses find the password
    ["check", password, hash or null]     [is_right, fresh_hash or null]

It ends when its parent process ends. It also estimates guesses, because a hostile password makes that take as
long as a hash.

A thread with a low priority is not enough: it can hold the interpreter's lock while it waits for a processor,
and so block the threads that should run first.
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

# The throttle allows a few log-ins per hour, and a stolen hash allows about twenty guesses per second. Eight
# random characters withstand this many guesses.
FEWEST_GUESSES = 10**8
# Guesses are estimated for this many characters at each end of a password. The time grows faster than the
# square of the length; with signs in place of letters, 16 characters take half as long as a hash.
COUNTED = 16
STEP = 5  # In units of nice(1): a third of the processor time of each normal process.


class Hasher:
    """Hashes with Argon2id and one lane.

    Passwords are normalized to NFKC, so that the result does not depend on the keyboard (NIST SP 800-63B).
    """

    def __init__(self, memory_kib: int, passes: int) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._decoy = self._hasher.hash("a password of no account")

    def hash(self, password: str) -> str:
        """Return the hash to store."""
        return self._hasher.hash(_normalize(password))

    def choose(self, password: str, own_words: list[str]) -> str | None:
        """Return the hash of a new password; None if few guesses find it. `own_words` are guessed first."""
        text = _normalize(password).decode("utf-8", "replace")
        ends = dict.fromkeys((text[:COUNTED], text[-COUNTED:]))
        if all(zxcvbn(end, own_words).guesses < FEWEST_GUESSES for end in ends):
            return None
        return self.hash(password)

    def check(self, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        """Return whether the password matches, and a new hash if the old one has outdated parameters.

        Without a hash this takes equally long, and the password does not match.
        """
        try:
            self._hasher.verify(password_hash or self._decoy, _normalize(password))
        except (VerificationError, InvalidHashError):
            return False, None
        if password_hash is None:
            return False, None
        outdated = self._hasher.check_needs_rehash(password_hash)
        return True, self.hash(password) if outdated else None


def _normalize(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def lower_priority() -> None:
    """Lower the priority of this process, so that other processes get most of a busy processor.

    The step is small, because log-ins must also progress in a shop that stays busy. Where Linux schedules by
    session (sched(7), autogroup), the nice value of this process's session is changed, too.
    """
    with suppress(OSError):
        os.nice(STEP)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(STEP))


def answer(hasher: Hasher, line: bytes) -> bytes:
    """Return the response line to a request line."""
    name, *arguments = json.loads(line)
    answers: dict[str, Callable[..., object]] = {
        "hash": hasher.hash,
        "choose": hasher.choose,
        "check": hasher.check,
    }
    return json.dumps(answers[name](*arguments)).encode() + b"\n"


def main() -> None:
    """Answer requests until standard input closes."""
    hasher = Hasher(memory_kib=int(sys.argv[1]), passes=int(sys.argv[2]))
    # The first estimate loads the dictionaries.
    zxcvbn("", [])
    # Not earlier: on a busy machine the first response would miss its deadline, and the parent would kill
    # this process and start it again.
    lower_priority()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(answer(hasher, line))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
