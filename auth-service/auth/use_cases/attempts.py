"""Slow down whoever tries passwords, without locking their owners out.

A try is counted before the password is looked at, so that many at once do not slip through, and in the
database, so that all replicas count together. From an address where the account was logged in to before, only
the tries of that address on that account count: nobody elsewhere can make its owner wait. From anywhere else
count all tries on the account, and all of the address.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from auth import audit
from auth.domain import PER_ACCOUNT, PER_ADDRESS, PER_KNOWN_PLACE, Allowance, User, Visitor, normalize_name
from auth.errors import HashingBusy, TooManyAttempts, WeakPassword
from auth.repository import throttle
from shared.database import Connection, Database


@dataclass(frozen=True)
class Attempt:
    """A try that was counted: what to forget if it succeeds, and what merely to give back."""

    place_hash: bytes
    own: bytes
    others: tuple[bytes, ...]

    def succeed(self, connection: Connection, user: User) -> None:
        """Forget the tries that went before, and remember the place."""
        throttle.give_back(connection, self.others)
        throttle.forget_tries(connection, self.own)
        throttle.remember_place(connection, user.id, self.place_hash)


def count_attempt(connection: Connection, username: str, user: User | None, visitor: Visitor) -> Attempt:
    """Count a try of the name, whether or not there is such a user; raise TooManyAttempts.

    A try that has to wait is not counted anywhere.
    """
    # By the name that was found, since the database knows more ways to write it.
    name = normalize_name(user.username if user else username).casefold()
    place = visitor.place_hash
    if user is not None and throttle.is_known_place(connection, user.id, place):
        attempt = Attempt(place, _hash("known place", visitor.place, name), ())
        counted: list[tuple[bytes, Allowance]] = [(attempt.own, PER_KNOWN_PLACE)]
    else:
        attempt = Attempt(place, _hash("account", name), (_hash("address", visitor.place),))
        counted = [(attempt.others[0], PER_ADDRESS), (attempt.own, PER_ACCOUNT)]
    # Most of a flood ends at the first of these, before anything is written.
    wait = throttle.find_wait(connection, [key for key, _ in counted])
    wait = wait or throttle.take_tries(connection, counted)
    if wait:
        record_refusal("too many attempts", user, visitor)
        raise TooManyAttempts(wait)
    return attempt


@contextmanager
def judging(database: Database, attempt: Attempt) -> Iterator[None]:
    """Give the try back if there was no time for the password, or it was right and its successor is weak."""
    try:
        yield
    except (HashingBusy, WeakPassword):
        with database.transaction() as connection:
            throttle.give_back(connection, (*attempt.others, attempt.own))
        raise


def record_refusal(reason: str, user: User | None, visitor: Visitor) -> None:
    """Write the failed try into the audit trail; a name that nobody has is left out: it may be a password."""
    audit.record(
        "auth.login.failed",
        f"A log-in failed: {reason}",
        actor=str(user.id) if user else None,
        level=logging.WARNING,
        reason=reason,
        address=visitor.address,
    )


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
