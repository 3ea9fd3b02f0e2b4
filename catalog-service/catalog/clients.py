"""The upstream product API, a stranger who may be slow, wrong or hostile."""

import json
import random
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse, HTTPResponse

from catalog.errors import PageTooLarge, UpstreamFailed
from shared import traces
from shared.json_bounds import find_excess

# Of a page, unpacked. What is larger is asked for again in smaller pages.
MAX_PAGE_BYTES = 8 * 1024 * 1024
MAX_PAGE_VALUES = 100_000  # Members and items, which Python needs some hundred bytes for.
TIMEOUT = (3.0, 10.0)  # Seconds to connect, and from one byte to the next.
PAGE_SECONDS = 20.0  # For a whole page, however it drips in.
ATTEMPTS = 3
FIRST_WAIT = 0.2  # Seconds at most before the second attempt, twice as many before the third, and so on.
LONGEST_WAIT = 5.0  # Who wants us to wait longer is left alone, and asked again with the next copy.
MAX_VALIDATOR = 500  # Characters; a longer ETag is not kept.


@dataclass(frozen=True)
class RawPage:
    """A page as it came: raw products, what the upstream says of their number, and how to ask for changes."""

    products: list[Any]
    total: int | None
    etag: str | None
    last_modified: str | None


class UpstreamClient:
    """Reads pages of products. No token or header of ours goes to the upstream but its own token.

    Redirects are not followed, and neither proxy variables nor .netrc are heeded.
    """

    def __init__(self, base_url: str, token: str | None, *, page_seconds: float = PAGE_SECONDS) -> None:
        self.base_url = base_url.rstrip("/")
        self._url = f"{self.base_url}/products"
        self._page_seconds = page_seconds
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", _CuttableAdapter(max_retries=0))
        self._session.mount("https://", _CuttableAdapter(max_retries=0))
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def fetch_page(
        self,
        *,
        limit: int,
        skip: int,
        etag: str | None = None,
        last_modified: str | None = None,
        attempts: int = ATTEMPTS,
    ) -> RawPage | None:
        """Return a page, or None if it is the one that these validators belong to (RFC 9110, section 13).

        What may pass is asked for again. Raises UpstreamFailed with the upstream's message, or PageTooLarge.
        """
        conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = self._headers | {name: value for name, value in conditions.items() if value}
        for attempt in range(1, attempts + 1):
            try:
                return self._fetch(limit, skip, headers)
            except UpstreamFailed as error:
                # Spread out, so that replicas do not come back at the same moment.
                longest = FIRST_WAIT * 2 ** (attempt - 1)
                wait = error.retry_after or random.uniform(0, longest)  # noqa: S311  # It is no secret.
                if attempt == attempts or not error.may_pass or wait > LONGEST_WAIT:
                    raise
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _fetch(self, limit: int, skip: int, headers: Mapping[str, str]) -> RawPage | None:
        query = {"limit": limit, "skip": skip}
        try:
            with _cut_after(self._page_seconds), traces.call("GET", self._url) as noted:
                response = self._session.get(
                    self._url,
                    params=query,
                    headers=headers,
                    timeout=TIMEOUT,
                    allow_redirects=False,
                    stream=True,
                )
                with response:
                    noted["http.response.status_code"] = response.status_code
                    contents = b"" if response.status_code == 304 else _read(response.raw)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise UpstreamFailed(502, "The product source does not answer.", may_pass=True) from error
        if response.status_code == 304 and ("If-None-Match" in headers or "If-Modified-Since" in headers):
            return None
        body = _parse(contents)
        if response.status_code != 200:
            _refuse(response, body)
        if not isinstance(body, dict) or not isinstance(body.get("products"), list):
            raise UpstreamFailed(502, "The product source did not answer with a list of products.")
        total = body.get("total")
        return RawPage(
            body["products"],
            total if type(total) is int and total >= 0 else None,
            _validator(response.headers.get("ETag")),
            _validator(response.headers.get("Last-Modified")),
        )


def _read(raw: BaseHTTPResponse) -> bytes:
    contents = bytearray()
    while chunk := raw.read1(65536, decode_content=True):
        contents += chunk
        if len(contents) > MAX_PAGE_BYTES:
            raise PageTooLarge
    return bytes(contents)


def _parse(contents: bytes) -> Any:
    if find_excess(contents, most_values=MAX_PAGE_VALUES):
        raise PageTooLarge
    try:
        return json.loads(contents, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None


def _refuse(response: requests.Response, body: Any) -> NoReturn:
    status = response.status_code
    message = body.get("message") or body.get("error") if isinstance(body, dict) else None
    raise UpstreamFailed(
        status,
        message[:500] if isinstance(message, str) else f"The product source answered {status}.",
        may_pass=status == 429 or status >= 500,
        retry_after=_read_retry_after(response.headers.get("Retry-After")),
    )


def _read_retry_after(value: str | None) -> float | None:
    """Return the seconds that the header asks for, which it may say as a date (RFC 9110, section 10.2.3)."""
    if not value:
        return None
    try:
        return float(int(value)) if value.isascii() and value.isdigit() else _seconds_until(value)
    except (ValueError, OverflowError):
        return None


def _seconds_until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _validator(value: str | None) -> str | None:
    return (
        value if value and len(value) <= MAX_VALIDATOR and value.isascii() and value.isprintable() else None
    )


# A socket's time-out counts from one byte to the next, and a server that drips would hold us for ever. So a
# connection says which socket it reads from, and a timer cuts that when the time is over.
_reading = threading.local()


@contextmanager
def _cut_after(seconds: float) -> Iterator[None]:
    sockets: list[socket.socket] = []
    is_over = threading.Event()

    def cut() -> None:
        is_over.set()
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    _reading.sockets = sockets
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    # What was cut may look as if it had come to its end.
    if is_over.is_set():
        raise TimeoutError


class _Cuttable(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # As in urllib3 itself.
        if self.sock is not None:
            _reading.sockets.append(self.sock)
        return super().getresponse()


class _CuttableTls(_Cuttable, HTTPSConnection):
    pass


class _CuttablePool(HTTPConnectionPool):
    ConnectionCls = _Cuttable


class _CuttableTlsPool(HTTPSConnectionPool):
    ConnectionCls = _CuttableTls


class _CuttableAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _CuttablePool, "https": _CuttableTlsPool}
