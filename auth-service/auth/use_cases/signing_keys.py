"""The rotation of signing keys."""

from datetime import datetime, timedelta
from typing import NamedTuple

from auth.domain.signing_keys import StoredKey, find_signer
from auth.errors import KeyNeeded, KeyNotFound
from auth.repository import signing_keys
from auth.signing_keys import MAX_AGE, generate_key
from shared import audit_trail
from shared.database import Connection, Database
from shared.tokens import LEEWAY

# Seconds for which a key is published before it signs: verifiers keep a key set for 30 seconds, and an HTTP
# cache between them and auth-service for another 30.
PUBLISHED_FOR = 90.0


class KeyState(NamedTuple):
    """A key and its state: `next`, `signing` or `verifying`."""

    key: StoredKey
    state: str


def list_keys(database: Database) -> list[KeyState]:
    """Return the published keys, latest `signs_from` first."""
    with database.transaction() as connection:
        stored, now = signing_keys.read_signing_keys(connection), signing_keys.read_clock(connection)
    signer = find_signer(stored, now)
    return [
        KeyState(key, "next" if key.signs_from > now else "signing" if key is signer else "verifying")
        for key in stored
        if key.verifies(now)
    ]


def rotate_keys(database: Database, *, token_seconds: int, published_for: float = PUBLISHED_FOR) -> StoredKey:
    """Publish a new key that starts to sign after `published_for` seconds, and return it.

    If a key is waiting already, also because of a concurrent rotation, it signs at the earlier of the two
    times and no other key is added. The older keys verify until their last token has expired.
    """
    with database.transaction() as connection:
        signing_keys.lock_signing_keys(connection)
        stored, now = signing_keys.read_signing_keys(connection), signing_keys.read_clock(connection)
        # The first key signs at once, because no other key can sign.
        signs_from = now + timedelta(seconds=published_for) if find_signer(stored, now) else now
        waiting = next((key for key in stored if key.signs_from > now and key.verifies(now)), None)
        if waiting is None:
            kid, private_key = generate_key()
            signing_keys.insert_signing_key(connection, kid, private_key, signs_from)
        else:
            kid, signs_from = waiting.kid, min(waiting.signs_from, signs_from)
            signing_keys.update_signing_key(connection, kid, signs_from=signs_from, verifies_until=None)
        for key in stored:
            if key.kid != kid and key.verifies_until is None:
                until = _last_token_of(signs_from, token_seconds)
                signing_keys.update_signing_key(
                    connection, key.kid, signs_from=key.signs_from, verifies_until=until
                )
        rotated = _find(signing_keys.read_signing_keys(connection), kid)
    audit_trail.record(
        "auth.key.rotated",
        "A new signing key was published",
        target=kid,
        signs_from=signs_from.isoformat(),
    )
    return rotated


def retire_key(database: Database, kid: str) -> None:
    """Delete a key at once, which invalidates all its tokens.

    Raises KeyNotFound, and KeyNeeded for the key that signs now.
    """
    with database.transaction() as connection:
        signing_keys.lock_signing_keys(connection)
        stored, now = signing_keys.read_signing_keys(connection), signing_keys.read_clock(connection)
        retired = _find(stored, kid)
        rest = [key for key in stored if key is not retired]
        if retired is find_signer(stored, now):
            raise KeyNeeded
        signing_keys.delete_signing_key(connection, kid)
        if retired.signs_from > now:
            _keep_signing(connection, find_signer(rest, now))
    audit_trail.record("auth.key.retired", "A signing key was retired", target=kid)


def _keep_signing(connection: Connection, signer: StoredKey | None) -> None:
    """Let the current key sign on without end, because its successor was retired."""
    if signer:
        signing_keys.update_signing_key(
            connection, signer.kid, signs_from=signer.signs_from, verifies_until=None
        )


def _last_token_of(signed_until: datetime, token_seconds: int) -> datetime:
    """Return when the last token of a key that signs until the given time expires.

    A replica that cannot reach the database signs with its copy for up to `MAX_AGE` longer.
    """
    return signed_until + timedelta(seconds=MAX_AGE + token_seconds + LEEWAY)


def _find(stored: list[StoredKey], kid: str) -> StoredKey:
    found = next((key for key in stored if key.kid == kid), None)
    if found is None:
        raise KeyNotFound
    return found
