"""Calls between services: they pass on the request's context, and authenticate the calling service."""

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

COOL_DOWN = 1.0  # Seconds after a failed token request before the next one.
MARGIN = 10.0  # Seconds before its expiry when a token is no longer used, because a call takes time.

log = logging.getLogger(__name__)


class ServiceTokens:
    """A service's own access token, obtained with OAuth 2.0 client credentials (RFC 6749, section 4.4).

    It is fetched on first use, and renewed after half of its lifetime. If auth is down then, it is used for
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
        """Return a token that is valid for a while; raise ServiceUnreachable if there is none."""
        while time.monotonic() >= self._renew_at:
            # A caller with a valid token does not wait for its renewal.
            if self._lock.acquire(blocking=not self._is_good):
                try:
                    if time.monotonic() >= self._renew_at:
                        self._try_to_renew()
                finally:
                    self._lock.release()
            elif self._is_good:
                break
        if not self._is_good:
            raise ServiceUnreachable("This service could not get a token from auth-service.")
        return self._token

    def forget(self, token: str) -> None:
        """Discard a refused token, unless it was replaced meanwhile; the next call fetches a new one."""
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
            # The cool-down keeps waiting threads from repeating the failed request one after the other.
            self._renew_at = time.monotonic() + COOL_DOWN
            log.warning("Could not get a token from auth-service: %s", error.detail)

    def _renew(self) -> None:
        response = self._http.request(
            "POST", "/auth/token", body=b"grant_type=client_credentials", headers=self._headers
        )
        try:
            answer = response.json()
            token, lifetime = answer["access_token"], float(answer["expires_in"])
        except (ValueError, KeyError, TypeError) as error:
            raise ServiceUnreachable("The response has no token.") from error
        now = time.monotonic()
        self._token = token
        self._renew_at = now + lifetime / 2
        self._good_until = now + max(lifetime - MARGIN, lifetime / 2)


class ServiceClient(HttpClient):
    """The base of a client class for another service."""

    def __init__(self, base_url: str, tokens: ServiceTokens, **options: Any) -> None:
        super().__init__(base_url, **options)
        self._tokens = tokens

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> HttpResponse:
        """Return the response; after a 401, retry once with a new service token.

        A token becomes invalid early when its key is retired. The server checks it before it does any work,
        so any method may be retried.
        """
        response = super().request(method, path, headers=headers, **options)
        if response.status_code != 401:
            return response
        self._tokens.forget(str(response.sent[SERVICE_HEADER]).removeprefix("Bearer "))
        return super().request(method, path, headers=headers, **options)

    def onward_headers(self) -> dict[str, str]:
        """Return the service's token, the request id and trace, and the caller's token until it expires."""
        headers = {SERVICE_HEADER: f"Bearer {self._tokens.current()}"}
        work = context.current()
        if work:
            headers["X-Request-ID"] = work.request_id
            headers["traceparent"] = work.trace.traceparent
            if work.caller and work.caller.expires_at > time.time():
                headers["Authorization"] = f"Bearer {work.caller.token}"
        return headers
