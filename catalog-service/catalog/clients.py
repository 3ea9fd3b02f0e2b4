"""The upstream product API."""

import json
from decimal import Decimal
from typing import Any

import requests

from catalog.errors import UpstreamFailed
from shared.errors import ServiceUnreachable
from shared.http import HttpClient

MAX_PAGE_BYTES = 20 * 1024 * 1024


class UpstreamClient(HttpClient):
    """Reads pages of products. It is a stranger: no token or header of ours goes there but its own token."""

    def __init__(self, base_url: str, token: str | None) -> None:
        super().__init__(base_url, timeout=(3.0, 10.0), pool=2, retries=2)
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def fetch_page(self, *, limit: int, skip: int) -> tuple[list[Any], int]:
        """Return a page's raw products and the total; raise UpstreamFailed with the upstream's message."""
        try:
            response = self.request(
                "GET", "/products", params={"limit": limit, "skip": skip}, headers=self._headers, stream=True
            )
            with response:
                body = _read_json(response)
        except (ServiceUnreachable, requests.RequestException, OSError) as error:
            raise UpstreamFailed(502, "The product source does not answer.") from error
        if response.status_code != 200:
            raise UpstreamFailed(response.status_code, _find_message(body, response.status_code))
        if not isinstance(body, dict) or not isinstance(body.get("products"), list):
            raise UpstreamFailed(502, "The product source did not answer with a list of products.")
        products, total = body["products"], body.get("total")
        return products, total if isinstance(total, int) else skip + len(products)


def _read_json(response: requests.Response) -> Any:
    contents = response.raw.read(MAX_PAGE_BYTES + 1, decode_content=True)
    if len(contents) > MAX_PAGE_BYTES:
        raise UpstreamFailed(502, "The product source answered with too large a page.")
    try:
        return json.loads(contents, parse_float=Decimal)
    except ValueError:
        return None


def _find_message(body: Any, status: int) -> str:
    message = body.get("message") or body.get("error") if isinstance(body, dict) else None
    return message[:500] if isinstance(message, str) else f"The product source answered {status}."
