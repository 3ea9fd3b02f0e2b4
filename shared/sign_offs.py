"""A client of auth's signed-off list, which outlives auth's absence.

The list is small: it has the sessions and tokens that ended before their time, and only for as long as their
tokens would have lived. It is asked for every two seconds, so that signing out works everywhere within five.
"""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from shared.errors import ServiceUnreachable, SignOffsUnavailable
from shared.service_calls import ServiceClient, ServiceTokens

log = logging.getLogger(__name__)

REFRESH_EVERY = 2.0  # Seconds between two refreshes.
STALE_AFTER = 3 * REFRESH_EVERY  # Seconds after which `/readyz` tells how old the copy is.
MAX_AGE = 15 * 60.0  # Seconds for which a copy is good while auth is away: as long as a token lives.


@dataclass(frozen=True)
class _Copy:
    ids: frozenset[str]
    etag: str | None
    asked_at: float


class SignOffsClient:
    """The list of `url`, as it was when `refresh` last had an answer. Reading it never waits for auth."""

    def __init__(self, base_url: str, tokens: ServiceTokens, path: str = "/internal/signed-off") -> None:
        self._http = ServiceClient(base_url, tokens, timeout=(0.5, 1.0), pool=1, retries=0)
        self._path = path
        self._copy: _Copy | None = None
        self._failing = False

    def has_any(self, ids: Collection[str]) -> bool:
        """Tell whether one of these is signed off.

        Raises SignOffsUnavailable while there is no copy, or none younger than 15 minutes.
        """
        return not self._current().ids.isdisjoint(ids)

    def check(self) -> str | None:
        """Raise SignOffsUnavailable unless a usable copy is here; return how old it is if auth is away.

        While there is none yet, it is asked for at once, so that a service is healthy as soon as it can be.
        """
        if self._copy is None:
            self.refresh()
        age = time.monotonic() - self._current().asked_at
        return f"Auth does not answer; its signed-off list is {age:.0f} s old." if age > STALE_AFTER else None

    def refresh(self) -> None:
        """Ask for the list, and keep the old copy if there is no answer."""
        asked_at = time.monotonic()
        try:
            self._copy = self._fetch(asked_at)
        except (ServiceUnreachable, ValueError) as error:
            self._note(str(error))
        else:
            self._note(None)

    def _current(self) -> _Copy:
        copy = self._copy
        if copy is None or time.monotonic() - copy.asked_at > MAX_AGE:
            raise SignOffsUnavailable
        return copy

    def _fetch(self, asked_at: float) -> _Copy:
        copy = self._copy
        headers = {"If-None-Match": copy.etag} if copy and copy.etag else {}
        response = self._http.request("GET", self._path, headers=headers)
        if copy and response.status_code == 304:
            return _Copy(copy.ids, copy.etag, asked_at)
        if response.status_code != 200:
            raise ValueError(f"it answered {response.status_code}")
        return _Copy(read_sign_offs(response.json()), response.headers.get("ETag"), asked_at)

    def _note(self, reason: str | None) -> None:
        """Say when fetching begins to fail and when it works again, and nothing in between."""
        if reason and not self._failing:
            log.warning("The signed-off list could not be fetched: %s", reason)
        elif self._failing and not reason:
            log.info("The signed-off list is fetched again")
        self._failing = reason is not None


def read_sign_offs(document: Any) -> frozenset[str]:
    """Return the ids of a list; raise ValueError if it is none."""
    ids = document.get("ids") if isinstance(document, dict) else None
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise ValueError("it is not a signed-off list")
    return frozenset(ids)
