"""Where products come from: an upstream in the tutorial's shape, or the bundled sample."""

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from catalog.clients import UpstreamClient
from catalog.domain import Offer
from catalog.errors import UpstreamFailed
from catalog.schemas import SourceProduct

SAMPLE = Path(__file__).parent / "sample_products.json"
PAGE = 100
MOST_PAGES = 1000


class Source(Protocol):
    """A product source."""

    @property
    def name(self) -> str:
        """Return what tells its copies from others: where it is, its state, the currency of its prices."""

    @property
    def refresh_seconds(self) -> int | None:
        """Return the seconds between two copies, or None if one is enough."""

    def read_pages(self) -> Iterator[list[Any]]:
        """Yield raw products page by page; raise UpstreamFailed."""


class SampleSource:
    """The sample catalogue that comes with the service."""

    refresh_seconds = None

    def __init__(self, currency: str) -> None:
        self._contents = SAMPLE.read_bytes()
        self.name = f"sample {hashlib.sha256(self._contents).hexdigest()[:12]} in {currency}"

    def read_pages(self) -> Iterator[list[Any]]:
        """Yield the one page that it has."""
        yield json.loads(self._contents, parse_float=Decimal)


class UpstreamSource:
    """An API in the tutorial's shape: `/products?limit=&skip=` → `{"products": […], "total"}`."""

    def __init__(self, client: UpstreamClient, currency: str, refresh_seconds: int) -> None:
        self._client = client
        self.name = f"{client.base_url} in {currency}"
        self.refresh_seconds = refresh_seconds

    def read_pages(self) -> Iterator[list[Any]]:
        """Yield pages until the upstream's total is reached, or a page is empty."""
        seen = 0
        for _ in range(MOST_PAGES):
            products, total = self._client.fetch_page(limit=PAGE, skip=seen)
            if products:
                yield products
            seen += len(products)
            if not products or seen >= total:
                return
        raise UpstreamFailed(502, f"The product source has no end: {seen} products and more.")


def to_offer(raw: Any, currency: str) -> Offer:
    """Return a source's product as an offer; raise pydantic's ValidationError if it is not one."""
    return SourceProduct.model_validate(raw).to_offer(currency)
