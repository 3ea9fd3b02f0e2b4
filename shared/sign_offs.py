"""A client of auth's signed-off list, which outlives auth's absence.

The list has the sessions and tokens that ended before their time, and only for as long as their tokens would
have lived. Every two seconds this asks for what is new, so that signing out works everywhere within five, and
once a minute for the whole list, which leaves out what is over.
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
WHOLE_EVERY = 60.0  # Seconds between two refreshes that ask for the whole list.
STALE_AFTER = 3 * REFRESH_EVERY  # Seconds after which `/readyz` tells how old the copy is.
MAX_AGE = 15 * 60.0  # Seconds for which a copy is good while auth is away: as long as a token lives.


@dataclass(frozen=True)
class _Copy:
    ids: frozenset[str]
    etag: str | None  # Of the last whole list.
    as_of: str | None  # Auth's word for the moment of the last answer; a release without changes has none.
    whole_at: float
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
            # A replica of the release before, which knows no changes.
            return _Copy(ids, response.headers.get("ETag"), as_of, asked_at, asked_at)
        # The same few are told for half a minute; the set is copied only for another one.
        known = copy.ids if ids <= copy.ids else copy.ids | ids
        return replace(copy, ids=known, as_of=as_of, asked_at=asked_at)

    def _note(self, reason: str | None) -> None:
        """Say when fetching begins to fail and when it works again, and nothing in between."""
        if reason and not self._failing:
            log.warning("The signed-off list could not be fetched: %s", reason)
        elif self._failing and not reason:
            log.info("The signed-off list is fetched again")
        self._failing = reason is not None


def read_sign_offs(document: Any) -> tuple[frozenset[str], str | None, bool]:
    """Return the ids of a list, its moment, and whether it is whole; raise ValueError if it is no list."""
    ids = document.get("ids") if isinstance(document, dict) else None
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise ValueError("it is not a signed-off list")
    as_of = document.get("as_of")
    return frozenset(ids), as_of if isinstance(as_of, str) else None, "since" not in document


def _require_document(response: HttpResponse) -> Any:
    if response.status_code != 200:
        raise ValueError(f"it answered {response.status_code}")
    return response.json()
