"""A client of auth's signed-off list that tolerates outages of auth.

The list has the sessions and tokens that ended early, until their tokens would have expired anyway. The
client fetches changes every two seconds, so that a sign-out takes effect in all services within five seconds,
and the whole list once a minute, to drop expired entries.
"""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from shared.errors import ServiceUnreachable, SignOffsUnavailable
from shared.http import HttpResponse
from shared.service_calls import ServiceClient, ServiceTokens

log = logging.getLogger(__name__)

REFRESH_EVERY = 2.0  # Seconds between two refreshes.
WHOLE_EVERY = 60.0  # Seconds between two refreshes of the whole list.
STALE_AFTER = 3 * REFRESH_EVERY  # Seconds after which `/readyz` reports the age of the copy.
TIMEOUT = (0.5, 1.0)  # Seconds to connect, and to wait for data.
MAX_AGE = 15 * 60.0  # Seconds for which a copy is used while auth is down: the lifetime of a token.


@dataclass(frozen=True)
class _Copy:
    ids: frozenset[str]
    etag: str | None  # Of the last whole list.
    as_of: str | None  # Auth's opaque marker for the time of the last response; an older release sends none.
    whole_at: float
    asked_at: float


class SignOffsClient:
    """The list of `base_url` as of the last successful `refresh`. Reading it never waits for auth."""

    def __init__(self, base_url: str, tokens: ServiceTokens, path: str = "/internal/signed-off") -> None:
        self._http = ServiceClient(base_url, tokens, timeout=TIMEOUT, pool=1, retries=0)
        self._path = path
        self._copy: _Copy | None = None
        self._failing = False

    def has_any(self, ids: Collection[str]) -> bool:
        """Return whether one of these ids is signed off.

        Raises SignOffsUnavailable if there is no copy younger than 15 minutes.
        """
        return not self._current().ids.isdisjoint(ids)

    def check(self) -> str | None:
        """Raise SignOffsUnavailable unless there is a usable copy; return its age if auth is down.

        If there is no copy yet, fetch one, so that a new replica becomes healthy as soon as possible.
        """
        if self._copy is None:
            self.refresh()
        age = time.monotonic() - self._current().asked_at
        if age <= STALE_AFTER:
            return None
        return f"auth-service does not respond; its signed-off list is {age:.0f} s old."

    def refresh(self) -> None:
        """Fetch the list or its changes; keep the old copy if that fails."""
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
        if copy and copy.as_of and asked_at - copy.whole_at < WHOLE_EVERY:
            return self._fetch_changes(copy, copy.as_of, asked_at)
        headers = {"If-None-Match": copy.etag} if copy and copy.etag else {}
        response = self._http.request("GET", self._path, headers=headers)
        if copy and response.status_code == 304:
            return replace(copy, whole_at=asked_at, asked_at=asked_at)
        ids, as_of, _ = read_sign_offs(_require_document(response))
        return _Copy(ids, response.headers.get("ETag"), as_of, asked_at, asked_at)

    def _fetch_changes(self, copy: _Copy, since: str, asked_at: float) -> _Copy:
        response = self._http.request("GET", self._path, params={"since": since})
        ids, as_of, is_whole = read_sign_offs(_require_document(response))
        if is_whole:
            # A replica of an older release ignores `since`.
            return _Copy(ids, response.headers.get("ETag"), as_of, asked_at, asked_at)
        # Auth repeats recent entries for half a minute; copy the set only if there are new ones.
        known = copy.ids if ids <= copy.ids else copy.ids | ids
        return replace(copy, ids=known, as_of=as_of, asked_at=asked_at)

    def _note(self, reason: str | None) -> None:
        """Log the first failure, and the first success after failures."""
        if reason and not self._failing:
            log.warning("The signed-off list could not be fetched: %s", reason)
        elif self._failing and not reason:
            log.info("The signed-off list can be fetched again")
        self._failing = reason is not None


def read_sign_offs(document: Any) -> tuple[frozenset[str], str | None, bool]:
    """Return a list's ids, its `as_of`, and whether it is whole; raise ValueError if it is malformed."""
    ids = document.get("ids") if isinstance(document, dict) else None
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise ValueError("it is not a signed-off list")
    as_of = document.get("as_of")
    return frozenset(ids), as_of if isinstance(as_of, str) else None, "since" not in document


def _require_document(response: HttpResponse) -> Any:
    if response.status_code != 200:
        raise ValueError(f"it answered {response.status_code}")
    return response.json()
