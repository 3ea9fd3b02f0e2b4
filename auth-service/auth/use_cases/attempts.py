"""Slow down password guessing without locking owners out.

A try is counted before the password is checked, so that concurrent tries cannot exceed the limit, and in the
database, so that all replicas share the count. At an address where the owner has logged in before, only the
tries from that address on that account count, so callers elsewhere cannot make the owner wait. At other
addresses all tries on the account count, and all tries from the address.

Codes of two-factor authentication have a counter of their own per account, which no right password clears.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from auth.domain.accounts import User, Visitor
from auth.domain.credentials import normalize_name
from auth.domain.throttling import (
    PER_ACCOUNT,
    PER_ADDRESS,
    PER_CODE,
    PER_KNOWN_PLACE,
    PER_MAIL_REQUEST,
    Allowance,
)
from auth.errors import HashingBusy, TooManyAttempts, WeakPassword, WrongPassword
from auth.passwords import Passwords, Rank
from auth.repository import throttle
from shared import audit_trail
from shared.database import Connection, Database


@dataclass(frozen=True)
class Attempt:
    """A counted try: `own` is the key to clear after a success; for `others`, only this try is taken back."""

    place_hash: bytes
    own: bytes
    others: tuple[bytes, ...]

    def succeed(self, connection: Connection, user: User) -> None:
        """Clear the earlier tries and remember the place."""
        throttle.give_back(connection, self.others)
        throttle.forget_tries(connection, self.own)
        throttle.remember_place(connection, user.id, self.place_hash)

    def spare_address(self, connection: Connection) -> None:
        """Take the try back for the address only: the password was right, and a code is missing."""
        throttle.give_back(connection, self.others)


def count_attempt(connection: Connection, username: str, user: User | None, visitor: Visitor) -> Attempt:
    """Count a try on a name, whether or not the user exists; raise TooManyAttempts.

    A refused try does not count.
    """
    # Use the stored name, because the database matches more spellings than `casefold`.
    name = normalize_name(user.username if user else username).casefold()
    place = visitor.place_hash
    if user is not None and throttle.is_known_place(connection, user.id, place):
        attempt = Attempt(place, _hash("known place", visitor.place, name), ())
        counted: list[tuple[bytes, Allowance]] = [(attempt.own, PER_KNOWN_PLACE)]
    else:
        attempt = Attempt(place, _hash("account", name), (_hash("address", visitor.place),))
        counted = [(attempt.others[0], PER_ADDRESS), (attempt.own, PER_ACCOUNT)]
    # The first query stops most of a flood before any write.
    wait = throttle.find_wait(connection, [key for key, _ in counted])
    wait = wait or throttle.take_tries(connection, counted)
    if wait:
        record_refusal("too many attempts", user, visitor)
        raise TooManyAttempts(wait)
    return attempt


def count_mail_request(connection: Connection, visitor: Visitor) -> None:
    """Count a request for a mail from the visitor's place; raise TooManyAttempts."""
    wait = throttle.take_tries(connection, [(_hash("mail request", visitor.place), PER_MAIL_REQUEST)])
    if wait:
        raise TooManyAttempts(wait)


def count_code(connection: Connection, user: User, visitor: Visitor) -> bytes:
    """Count a try of a code and return its key; raise TooManyAttempts.

    A success takes back this one try: after a log-in of the owner an attacker must wait as before.
    """
    key = _hash("code", str(user.id))
    if wait := throttle.take_tries(connection, [(key, PER_CODE)]):
        record_refusal("too many codes", user, visitor)
        raise TooManyAttempts(wait)
    return key


def prove_password(
    database: Database, passwords: Passwords, user: User, current: str, visitor: Visitor
) -> Attempt:
    """Check the password of a signed-in user again, and return the try, which the caller lets succeed.

    Raises WrongPassword, and TooManyAttempts, because callers could guess passwords here.
    """
    passwords.require_room(Rank.KNOWN, visitor.place)
    with database.autocommit() as connection:
        attempt = count_attempt(connection, user.username, user, visitor)
    with judging(database, attempt):
        is_right = passwords.matches(user.password_hash, current, place=visitor.place)
    if not is_right:
        record_refusal("wrong current password", user, visitor)
        raise WrongPassword
    return attempt


@contextmanager
def judging(database: Database, attempt: Attempt) -> Iterator[None]:
    """Take the try back if the password was not checked, or if it was right and something else was refused.

    That is a new password that is weak, or a code whose tries are used up.
    """
    try:
        yield
    except (HashingBusy, WeakPassword, TooManyAttempts):
        with database.transaction() as connection:
            throttle.give_back(connection, (*attempt.others, attempt.own))
        raise


def record_refusal(reason: str, user: User | None, visitor: Visitor) -> None:
    """Record a failed try in the audit trail, without a name that no user has: it may be a password."""
    audit_trail.record(
        "auth.login.failed",
        f"A log-in failed: {reason}",
        actor=str(user.id) if user else None,
        level=logging.WARNING,
        reason=reason,
        address=visitor.address,
    )


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
