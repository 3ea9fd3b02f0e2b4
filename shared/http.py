"""The base of every client class: time-outs, pooling, and repeats where they are harmless."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import ReadTimeoutError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from shared import traces
from shared.errors import ServiceUnreachable

# Methods that may be sent twice (RFC 9110, section 9.2.2); a POST is never repeated here.
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class HttpClient:
    """A client of one server, safe to share between threads.

    `timeout` is seconds to connect and to read. Redirects are not followed, and neither proxy variables nor
    .netrc are heeded: a token goes where the settings say and nowhere else.
    """

    def __init__(
        self, base_url: str, *, timeout: tuple[float, float] = (1.0, 5.0), pool: int = 16, retries: int = 1
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False
        retry = _Retry(
            total=retries,
            status_forcelist=(502, 503),
            allowed_methods=IDEMPOTENT,
            backoff_factor=0.05,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=pool, max_retries=retry)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> requests.Response:
        """Return the answer whatever its status; raise ServiceUnreachable if there is none in time."""
        url = self.base_url + path
        with traces.call(method, url) as noted:
            try:
                response = self._session.request(
                    method,
                    url,
                    headers={**self.onward_headers(), **(headers or {})},
                    timeout=self.timeout,
                    allow_redirects=False,
                    **options,
                )
            except requests.RequestException as error:
                raise ServiceUnreachable from error
            noted["http.response.status_code"] = response.status_code
            return response

    def onward_headers(self) -> dict[str, str]:
        """Return what every call carries: nothing, unless a subclass calls a service of ours."""
        return {}


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
