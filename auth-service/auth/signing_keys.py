"""The signing keys, which all replicas share through the database.

The database's clock decides which key signs and which keys verify, so that all replicas switch at the same
moment.
"""

import logging
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from auth.domain.signing_keys import StoredKey, find_signer
from auth.repository import signing_keys as repository
from shared.database import Database
from shared.errors import DatabaseUnavailable, KeysUnavailable
from shared.tokens import ALGORITHM

log = logging.getLogger(__name__)

REFRESH_AFTER = 1.0  # Seconds until a replica tries to read the keys again.
STALE_AFTER = 10.0  # Seconds until `/readyz` reports the age of the copy.
MAX_AGE = 15 * 60.0  # Seconds for which a copy is valid while the database is unavailable.


@dataclass(frozen=True)
class SigningKey:
    """A private key, its public key, and the key id in the header of its tokens."""

    kid: str
    private_key: ec.EllipticCurvePrivateKey
    public_key: ec.EllipticCurvePublicKey

    @property
    def public_jwk(self) -> dict[str, str]:
        """Return the public key as a JSON Web Key (RFC 7517)."""
        numbers = ECAlgorithm.to_jwk(self.public_key, as_dict=True)
        return {**numbers, "kid": self.kid, "use": "sig", "alg": ALGORITHM}


@dataclass(frozen=True)
class _Copy:
    stored: list[StoredKey]
    keys: dict[str, SigningKey]
    database_time: datetime
    read_at: float

    @property
    def age(self) -> float:
        return time.monotonic() - self.read_at

    @property
    def now(self) -> datetime:
        return self.database_time + timedelta(seconds=self.age)


class SigningKeys:
    """A copy of the signing keys, refreshed from the database. Implements `KeySource`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reading = threading.Lock()
        self._copy: _Copy | None = None
        self._tried_at = float("-inf")
        self._failing = False

    def signing_key(self) -> SigningKey:
        """Return the key that signs now; raise KeysUnavailable if there is none or the copy is too old."""
        copy = self._current()
        signer = find_signer(copy.stored, copy.now)
        if signer is None:
            raise KeysUnavailable
        return copy.keys[signer.kid]

    def published(self) -> list[SigningKey]:
        """Return the keys that verify now or will later; raise KeysUnavailable if the copy is too old."""
        copy = self._current()
        return [copy.keys[key.kid] for key in copy.stored if key.verifies(copy.now)]

    def find_key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """Return the public key with this id; raise KeysUnavailable if the copy is too old."""
        return next((key.public_key for key in self.published() if key.kid == kid), None)

    def check(self) -> str | None:
        """Raise KeysUnavailable if no key can sign; return a remark if the copy is stale."""
        self.signing_key()
        age = self._current().age
        return (
            f"The database does not answer; the signing keys are {age:.0f} s old."
            if age > STALE_AFTER
            else None
        )

    def _current(self) -> _Copy:
        """Return a copy. One thread at a time refreshes it while the others use the old copy."""
        copy = self._copy
        if copy is None or (copy.age > REFRESH_AFTER and time.monotonic() - self._tried_at > REFRESH_AFTER):
            self._refresh(wait=copy is None)
            copy = self._copy
        if copy is None or copy.age > MAX_AGE:
            raise KeysUnavailable
        return copy

    def _refresh(self, *, wait: bool) -> None:
        asked_at = time.monotonic()
        if not self._reading.acquire(blocking=wait):
            return
        try:
            # Another thread has tried in the meantime, so its result is recent enough.
            if self._tried_at > asked_at:
                return
            try:
                self._copy = self._read()
                self._failing = False
            except DatabaseUnavailable as error:
                # The replica tries every second and logs only the first failure.
                if not self._failing:
                    log.warning("The signing keys could not be read: %s", error.detail)
                self._failing = True
            finally:
                self._tried_at = time.monotonic()
        finally:
            self._reading.release()

    def _read(self) -> _Copy:
        with self._database.transaction() as connection:
            stored = repository.read_signing_keys(connection)
            if not stored:
                repository.insert_first_signing_key(connection, *generate_key())
                stored = repository.read_signing_keys(connection)
            # In this order a slow response makes the estimated time late, so no key signs early.
            database_time, read_at = repository.read_clock(connection), time.monotonic()
        # Parse only new keys.
        known = self._copy.keys if self._copy else {}
        keys = {key.kid: known.get(key.kid) or _load(key) for key in stored}
        return _Copy(stored, keys, database_time, read_at)


def generate_key() -> tuple[str, str]:
    """Return an id and the PEM of a new P-256 key."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secrets.token_hex(8), pem.decode()


def _load(stored: StoredKey) -> SigningKey:
    key = serialization.load_pem_private_key(stored.private_key.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("A signing key must be an elliptic curve key.")
    return SigningKey(stored.kid, key, key.public_key())
