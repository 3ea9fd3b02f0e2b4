"""The clients of orders-service, and of the product source and its images, which may be wrong or hostile."""

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from uuid import UUID

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from catalog.errors import ImageRefused, PageTooLarge, UpstreamFailed
from shared import outgoing, traces
from shared.deadlines import POOLS, deadline
from shared.json_bounds import find_excess
from shared.service_calls import ServiceClient

# The decompressed size of a page. The source requests a larger page again in smaller pages.
MAX_PAGE_BYTES = 8 * 1024 * 1024
MAX_PAGE_VALUES = 100_000  # JSON members and items; Python needs about a hundred bytes for each.
TIMEOUT = (3.0, 10.0)  # Seconds to connect, and between two bytes.
PAGE_TIMEOUT = 20.0  # Seconds for a whole page, however slowly its bytes arrive.
ATTEMPTS = 3
FIRST_BACKOFF = 0.2  # Maximum seconds before the second attempt; doubles with each further attempt.
MAX_WAIT = 5.0  # Seconds; if the upstream wants a longer wait, the next copy tries again.
MAX_IMAGE_BYTES = 10 * 1024 * 1024
IMAGE_TIMEOUT = 30.0  # Seconds for a whole image.
MAX_VALIDATOR = 500  # Characters; a longer ETag is discarded.


@dataclass(frozen=True)
class RawPage:
    """A page as received: raw products, the upstream's own total, and the page's validators."""

    products: list[Any]
    total: int | None
    etag: str | None
    last_modified: str | None


class UpstreamClient:
    """Fetch pages of products. The upstream receives no credentials except its own token.

    The client does not follow redirects and ignores proxy variables and .netrc.
    """

    def __init__(self, base_url: str, token: str | None, *, page_timeout: float = PAGE_TIMEOUT) -> None:
        self.base_url = base_url.rstrip("/")
        self._url = f"{self.base_url}/products"
        self._page_timeout = page_timeout
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", _DeadlineAdapter(max_retries=0))
        self._session.mount("https://", _DeadlineAdapter(max_retries=0))
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
        """Return a page, or None if it still matches these validators (RFC 9110, section 13).

        Retries transient failures. Raises UpstreamFailed with the upstream's message, or PageTooLarge.
        """
        conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = self._headers | {name: value for name, value in conditions.items() if value}
        for attempt in range(1, attempts + 1):
            try:
                return self._fetch(limit, skip, headers)
            except UpstreamFailed as error:
                # Jitter keeps the replicas from retrying at the same moment.
                backoff = FIRST_BACKOFF * 2 ** (attempt - 1)
                wait = error.retry_after or random.uniform(0, backoff)  # noqa: S311  # Not a secret.
                if attempt == attempts or not error.is_transient or wait > MAX_WAIT:
                    raise
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _fetch(self, limit: int, skip: int, headers: Mapping[str, str]) -> RawPage | None:
        query = {"limit": limit, "skip": skip}
        try:
            with deadline(self._page_timeout), traces.call("GET", self._url) as noted:
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
            raise UpstreamFailed(502, "The product source does not respond.", is_transient=True) from error
        if response.status_code == 304 and ("If-None-Match" in headers or "If-Modified-Since" in headers):
            return None
        body = _parse(contents)
        if response.status_code != 200:
            _raise_failure(response, body)
        if not isinstance(body, dict) or not isinstance(body.get("products"), list):
            raise UpstreamFailed(502, "The product source did not return a list of products.")
        total = body.get("total")
        return RawPage(
            body["products"],
            total if type(total) is int and total >= 0 else None,
            _validator(response.headers.get("ETag")),
            _validator(response.headers.get("Last-Modified")),
        )


class ImageClient:
    """Fetch images from URLs of public addresses, and of the host of the product source, if there is one."""

    def __init__(self, source_url: str | None) -> None:
        self._allowed = [outgoing.origin_of(source_url)] if source_url is not None else []

    def fetch(self, url: str) -> bytes:
        """Return the file; raise ImageRefused, or UpstreamFailed if a later attempt may succeed."""
        try:
            answer = outgoing.send(
                "GET",
                url,
                headers={"Accept": "image/webp,image/png,image/jpeg,image/gif"},
                seconds=IMAGE_TIMEOUT,
                most_bytes=MAX_IMAGE_BYTES,
                allowed=self._allowed,
            )
        except outgoing.AddressRefused as error:
            raise ImageRefused(str(error)) from error
        except outgoing.AnswerTooLarge:
            raise ImageRefused("The image is larger than 10 MiB.") from None
        except outgoing.SendingFailed as error:
            raise UpstreamFailed(502, "The host of the image does not respond.", is_transient=True) from error
        if answer.status == 200:
            return answer.content
        detail = f"The host of the image answered {answer.status}."
        if answer.status == 429 or answer.status >= 500:
            raise UpstreamFailed(502, detail, is_transient=True)
        raise ImageRefused(detail)


class OrdersClient(ServiceClient):
    """orders-service, which tells webhooks of the catalogue's events."""

    def report_event(
        self, event_id: UUID, kind: str, time: datetime, subject: str, data: Mapping[str, Any]
    ) -> int:
        """Report an event, which is recorded once; return the status of the answer."""
        body = {
            "id": str(event_id),
            "type": kind,
            "time": time.isoformat(),
            "subject": subject,
            "data": dict(data),
        }
        return self.request("POST", "/internal/events", json=body).status_code


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


def _raise_failure(response: requests.Response, body: Any) -> NoReturn:
    status = response.status_code
    message = body.get("message") or body.get("error") if isinstance(body, dict) else None
    raise UpstreamFailed(
        status,
        message[:500] if isinstance(message, str) else f"The product source returned status {status}.",
        is_transient=status == 429 or status >= 500,
        retry_after=_read_retry_after(response.headers.get("Retry-After")),
    )


def _read_retry_after(value: str | None) -> float | None:
    """Return the header's delay in seconds; the header may be a date (RFC 9110, section 10.2.3)."""
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


class _DeadlineAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS
