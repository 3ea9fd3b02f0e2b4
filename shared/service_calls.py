"""Calls between our services: each carries the request on, and proves which service makes it."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from urllib3 import make_headers

from shared import context
from shared.access import SERVICE_HEADER
from shared.errors import ServiceUnreachable
from shared.http import HttpClient, HttpResponse

COOL_DOWN = 1.0  # Seconds after which auth is asked again for a token that it did not give.
MARGIN = 10.0  # Seconds before its end from which a token is not used any more: it has a way to go.

log = logging.getLogger(__name__)


class ServiceTokens:
    """A service's own access token, by OAuth 2.0 client credentials (RFC 6749, section 4.4).

    It is fetched when first needed, and anew once half of its life is over; while auth is away it serves for
    the other half.
    """

    def __init__(self, auth_url: str, client_id: str, client_secret: str) -> None:
        self._http = HttpClient(auth_url, timeout=(1.0, 3.0))
        self._headers = {
            "Authorization": make_headers(basic_auth=f"{client_id}:{client_secret}")["authorization"],
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = self._good_until = 0.0

    def current(self) -> str:
        """Return a token that is good for a while yet; raise ServiceUnreachable if none can be had."""
        while time.monotonic() >= self._renew_at:
            # Whoever has a good one does not wait for the next.
            if self._lock.acquire(blocking=not self._is_good):
                try:
                    if time.monotonic() >= self._renew_at:
                        self._try_to_renew()
                finally:
                    self._lock.release()
            elif self._is_good:
                break
        if not self._is_good:
            raise ServiceUnreachable("This service could not prove itself to auth just now.")
        return self._token

    def forget(self, token: str) -> None:
        """Let the next call fetch another token, unless that has been done since this one was refused."""
        with self._lock:
            if token == self._token:
                self._renew_at = self._good_until = 0.0

    @property
    def _is_good(self) -> bool:
        return time.monotonic() < self._good_until

    def _try_to_renew(self) -> None:
        try:
            self._renew()
        except ServiceUnreachable as error:
            # Those who wait behind this one are not to wait for the same, one after the other.
            self._renew_at = time.monotonic() + COOL_DOWN
            log.warning("Auth gives this service no token just now: %s", error.detail)

    def _renew(self) -> None:
        response = self._http.request(
            "POST", "/auth/token", body=b"grant_type=client_credentials", headers=self._headers
        )
        try:
            answer = response.json()
            token, lifetime = answer["access_token"], float(answer["expires_in"])
        except (ValueError, KeyError, TypeError) as error:
            raise ServiceUnreachable("It was given something else.") from error
        now = time.monotonic()
        self._token = token
        self._renew_at = now + lifetime / 2
        self._good_until = now + max(lifetime - MARGIN, lifetime / 2)


class ServiceClient(HttpClient):
    """The base of a client class for another service of ours."""

    def __init__(self, base_url: str, tokens: ServiceTokens, **options: Any) -> None:
        super().__init__(base_url, **options)
        self._tokens = tokens

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> HttpResponse:
        """Return the answer; if it is 401, that to a second try with a new token of the service's own.

        A token ends before its time when its key is retired. The door refuses before any work is done, so any
        method may be repeated.
        """
        response = super().request(method, path, headers=headers, **options)
        if response.status_code != 401:
            return response
        self._tokens.forget(str(response.sent[SERVICE_HEADER]).removeprefix("Bearer "))
        return super().request(method, path, headers=headers, **options)

    def onward_headers(self) -> dict[str, str]:
        """Return the service's own token, the request id and trace, and the caller's token while it lives."""
        headers = {SERVICE_HEADER: f"Bearer {self._tokens.current()}"}
        work = context.current()
        if work:
            headers["X-Request-ID"] = work.request_id
            headers["traceparent"] = work.trace.traceparent
            if work.caller and work.caller.expires_at > time.time():
                headers["Authorization"] = f"Bearer {work.caller.token}"
        return headers
