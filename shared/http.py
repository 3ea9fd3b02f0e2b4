"""The base of every client of a service of ours: time-outs, pooling, and repeats where they are harmless.

It stands on urllib3 itself, because `requests` above it takes half of a short call's processor time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from urllib3 import Timeout, connection_from_url
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from shared import traces
from shared.errors import ServiceUnreachable

# Methods that may be sent twice (RFC 9110, section 9.2.2); a POST is never repeated here.
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})


@dataclass(frozen=True)
class HttpResponse:
    """An answer, read to its end; `sent` are the headers that the request had."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    sent: Mapping[str, str]

    def json(self) -> Any:
        """Return the body's JSON; raise ValueError if it is none."""
        return json.loads(self.content)


class HttpClient:
    """A client of one server, safe to share between threads.

    `timeout` is seconds to connect and to read. Redirects are not followed, and neither proxy variables nor
    .netrc are heeded: a token goes where the settings say and nowhere else.
    """

    def __init__(
        self, base_url: str, *, timeout: tuple[float, float] = (1.0, 5.0), pool: int = 16, retries: int = 1
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._prefix = urlsplit(self.base_url).path
        self._pool = connection_from_url(
            self.base_url,
            maxsize=pool,
            timeout=Timeout(connect=timeout[0], read=timeout[1]),
            retries=_Retry(
                total=retries,
                status_forcelist=(502, 503),
                allowed_methods=IDEMPOTENT,
                backoff_factor=0.05,
                raise_on_status=False,
                respect_retry_after_header=False,
            ),
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Return the answer whatever its status; raise ServiceUnreachable if there is none in time.

        `json` is sent as JSON; `body` as it is, of the type that `headers` say.
        """
        target = self._prefix + path + (f"?{urlencode(params)}" if params else "")
        with traces.call(method, self.base_url + path) as noted:
            sent = {**self.onward_headers(), **(headers or {})}
            if json is not None:
                body = _dump(json)
                sent["Content-Type"] = "application/json"
            try:
                response = self._pool.urlopen(
                    method, target, body, sent, redirect=False, preload_content=True
                )
            except HTTPError as error:
                raise ServiceUnreachable from error
            noted["http.response.status_code"] = response.status
            return HttpResponse(response.status, response.headers, response.data, sent)

    def onward_headers(self) -> dict[str, str]:
        """Return what every call carries: nothing, unless a subclass calls a service of ours."""
        return {}


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class _Retry(Retry):
    """Repeats failed connections and a dying replica's answers, but never what merely took too long."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)
