"""Signing keys in their turn: published, signing, verifying what they signed, gone."""

from datetime import datetime, timedelta
from typing import NamedTuple

from auth import audit
from auth.domain import StoredKey, find_signer
from auth.errors import KeyNeeded, KeyNotFound
from auth.repository import keys
from auth.signing_keys import MAX_AGE, generate_key
from shared.database import Connection, Database
from shared.tokens import LEEWAY

# Seconds for which a key is published before it signs: whoever verifies keeps a key set for 30, and a cache
# on the way for as long again.
PUBLISHED_FOR = 90.0


class KeyState(NamedTuple):
    """A key, and whether it is the `next` one, is `signing`, or only `verifying` what it signed."""

    key: StoredKey
    state: str


def list_keys(database: Database) -> list[KeyState]:
    """Return the keys that are published, the one that signs last first."""
    with database.transaction() as connection:
        stored, now = keys.read_signing_keys(connection), keys.read_clock(connection)
    signer = find_signer(stored, now)
    return [
        KeyState(key, "next" if key.signs_from > now else "signing" if key is signer else "verifying")
        for key in stored
        if key.verifies(now)
    ]


def rotate_keys(database: Database, *, token_seconds: int, published_for: float = PUBLISHED_FOR) -> StoredKey:
    """Publish a new key that will sign after so many seconds, and return it.

    If one is waiting already there is no other, whoever else is rotating at the same time; it signs at the
    earlier of the two moments. The keys before it verify until the last of their tokens has died.
    """
    with database.transaction() as connection:
        keys.lock_signing_keys(connection)
        stored, now = keys.read_signing_keys(connection), keys.read_clock(connection)
        # Where nothing signs yet, nobody waits for the new key.
        signs_from = now + timedelta(seconds=published_for) if find_signer(stored, now) else now
        waiting = next((key for key in stored if key.signs_from > now and key.verifies(now)), None)
        if waiting is None:
            kid, private_key = generate_key()
            keys.insert_signing_key(connection, kid, private_key, signs_from)
        else:
            kid, signs_from = waiting.kid, min(waiting.signs_from, signs_from)
            keys.update_signing_key(connection, kid, signs_from=signs_from, verifies_until=None)
        for key in stored:
            if key.kid != kid and key.verifies_until is None:
                until = _last_token_of(signs_from, token_seconds)
                keys.update_signing_key(connection, key.kid, signs_from=key.signs_from, verifies_until=until)
        rotated = _find(keys.read_signing_keys(connection), kid)
    audit.record(
        "auth.key.rotated",
        "A new signing key was published",
        target=kid,
        signs_from=signs_from.isoformat(),
    )
    return rotated


def retire_key(database: Database, kid: str) -> None:
    """Remove a key at once: no token that it signed is good any more.

    Raises KeyNotFound, and KeyNeeded if nothing else could sign.
    """
    with database.transaction() as connection:
        keys.lock_signing_keys(connection)
        stored, now = keys.read_signing_keys(connection), keys.read_clock(connection)
        retired = _find(stored, kid)
        rest = [key for key in stored if key is not retired]
        if retired is find_signer(stored, now):
            raise KeyNeeded
        keys.delete_signing_key(connection, kid)
        if retired.signs_from > now:
            _keep_signing(connection, find_signer(rest, now))
    audit.record("auth.key.retired", "A signing key was removed with all that it signed", target=kid)


def _keep_signing(connection: Connection, signer: StoredKey | None) -> None:
    """Let the key go on for which no other is waiting any more."""
    if signer:
        keys.update_signing_key(connection, signer.kid, signs_from=signer.signs_from, verifies_until=None)


def _last_token_of(signed_until: datetime, token_seconds: int) -> datetime:
    """Return when the last token dies that a key signs until then.

    A replica that cannot reach the database goes on with its copy for a while, and may not know.
    """
    return signed_until + timedelta(seconds=MAX_AGE + token_seconds + LEEWAY)


def _find(stored: list[StoredKey], kid: str) -> StoredKey:
    found = next((key for key in stored if key.kid == kid), None)
    if found is None:
        raise KeyNotFound
    return found
