"""A client of auth's JSON Web Key Set (RFC 7517) that tolerates outages of auth."""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from shared.errors import KeysUnavailable, ServiceUnreachable
from shared.http import HttpClient
from shared.tokens import ALGORITHM

log = logging.getLogger(__name__)

REFRESH_AFTER = 30.0  # Seconds after which the copy is refreshed.
COOL_DOWN = 2.0  # Seconds between two fetches, also after failures and for unknown key ids.
MAX_AGE = 15 * 60.0  # Seconds for which a copy is used while auth is down.


@dataclass(frozen=True)
class _Copy:
    keys: dict[str, EllipticCurvePublicKey]
    fetched_at: float


class JwksClient:
    """The key set of `base_url`, fetched on demand by one thread at a time, and stale while auth is down."""

    def __init__(self, base_url: str, path: str = "/.well-known/jwks.json") -> None:
        self._http = HttpClient(base_url, timeout=(1.0, 2.0))
        self._path = path
        self._fetching = threading.Lock()
        self._copy: _Copy | None = None
        self._tried_at = float("-inf")
        self._failing = False

    def find_key(self, kid: str) -> EllipticCurvePublicKey | None:
        """Return the key, fetching the set first if the copy is old or lacks the key.

        Raises KeysUnavailable if there is no copy younger than 15 minutes, or if the key is unknown while
        auth is down, because it may be new.
        """
        copy = self._copy
        if copy is None or kid not in copy.keys or time.monotonic() - copy.fetched_at > REFRESH_AFTER:
            # While auth is down, one thread checks whether it is back, and the others do not wait.
            self._refresh(wait=copy is None or (kid not in copy.keys and not self._failing))
        key = self._current().keys.get(kid)
        if key is None and self._failing:
            raise KeysUnavailable
        return key

    def check(self) -> str | None:
        """Raise KeysUnavailable unless there is a usable copy, fetching one if necessary.

        Return the age of the copy if the last refresh failed.
        """
        if self._copy is None:
            self._refresh(wait=True)
        age = time.monotonic() - self._current().fetched_at
        return f"auth-service does not respond; its keys are {age:.0f} s old." if self._failing else None

    def _current(self) -> _Copy:
        copy = self._copy
        if copy is None or time.monotonic() - copy.fetched_at > MAX_AGE:
            raise KeysUnavailable
        return copy

    def _refresh(self, *, wait: bool) -> None:
        asked_at = time.monotonic()
        if not self._fetching.acquire(blocking=wait):
            return
        try:
            # Another thread may have fetched while this one waited. During the cool-down no thread fetches.
            if self._tried_at > asked_at or time.monotonic() - self._tried_at < COOL_DOWN:
                return
            try:
                self._copy = _Copy(self._fetch(), time.monotonic())
                self._failing = False
            except (ServiceUnreachable, ValueError) as error:
                self._failing = True
                log.warning("The key set could not be fetched: %s", error)
            finally:
                self._tried_at = time.monotonic()
        finally:
            self._fetching.release()

    def _fetch(self) -> dict[str, EllipticCurvePublicKey]:
        response = self._http.request("GET", self._path)
        if response.status_code != 200:
            raise ValueError(f"it answered {response.status_code}")
        document = response.json()
        keys = read_key_set(document)
        if not keys:
            raise ValueError("it has no usable key")
        return keys


def read_key_set(document: Any) -> dict[str, EllipticCurvePublicKey]:
    """Return the ES256 keys of a key set by key id; ignore others (RFC 7517, section 5)."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it is not a key set")
    keys: dict[str, EllipticCurvePublicKey] = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("alg", ALGORITHM) != ALGORITHM:
            continue
        try:
            key = jwt.PyJWK.from_dict(entry, algorithm=ALGORITHM)
        except jwt.PyJWTError:
            continue
        if key.key_id and isinstance(key.key, EllipticCurvePublicKey):
            keys[key.key_id] = key.key
    return keys
