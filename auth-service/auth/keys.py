"""The signing keys: kept in the database, so that they survive restarts and all replicas share them."""

import secrets
import threading
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from auth import repository
from shared.database import Database
from shared.errors import DatabaseUnavailable, KeysUnavailable
from shared.tokens import ALGORITHM

REFRESH_AFTER = 5.0  # Seconds after which the keys are read anew.


@dataclass(frozen=True)
class SigningKey:
    """A private key, its public half, and the id that tokens name it by."""

    kid: str
    private_key: ec.EllipticCurvePrivateKey
    public_key: ec.EllipticCurvePublicKey

    @property
    def public_jwk(self) -> dict[str, str]:
        """Return the public half as a JSON Web Key (RFC 7517)."""
        numbers = ECAlgorithm.to_jwk(self.public_key, as_dict=True)
        return {**numbers, "kid": self.kid, "use": "sig", "alg": ALGORITHM}


class SigningKeys:
    """All keys, newest first; the newest signs, and every one of them verifies. Also a `KeySource`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._keys: list[SigningKey] = []
        self._read_at = float("-inf")

    def current(self) -> list[SigningKey]:
        """Return the keys, read again every few seconds; raise KeysUnavailable if there are none."""
        with self._lock:
            if time.monotonic() - self._read_at > REFRESH_AFTER:
                self._read()
            return self._keys

    def find_key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """Return the public key of that id."""
        return next((key.public_key for key in self.current() if key.kid == kid), None)

    def check(self) -> None:
        """Raise KeysUnavailable unless there is a key."""
        self.current()

    def _read(self) -> None:
        try:
            with self._database.transaction() as connection:
                rows = repository.read_signing_keys(connection)
                if not rows:
                    kid, pem = generate_key()
                    repository.insert_first_signing_key(connection, kid, pem)
                    rows = repository.read_signing_keys(connection)
        except DatabaseUnavailable as error:
            if self._keys:
                return
            raise KeysUnavailable from error
        self._keys = [_load(kid, pem) for kid, pem in rows]
        self._read_at = time.monotonic()


def generate_key() -> tuple[str, str]:
    """Return an id and the PEM of a new P-256 key."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secrets.token_urlsafe(12), pem.decode()


def _load(kid: str, pem: str) -> SigningKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("A signing key must be an elliptic curve key.")
    return SigningKey(kid, key, key.public_key())
