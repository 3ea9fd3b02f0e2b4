"""Product sources: an upstream in the tutorial's format, or the bundled sample."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from catalog.clients import ATTEMPTS, UpstreamClient
from catalog.domain import Adjustment, Offer
from catalog.errors import PageTooLarge, UpstreamFailed
from catalog.schemas.source import OPTIONAL, SourceProduct

SAMPLE = Path(__file__).parent / "sample_products.json"
# The number of times that the sample has changed. Replicas of the release before do not copy theirs again.
SAMPLE_EDITION = 2
# Its first edition was known by its hash. With another name, replicas of that release would take it for a
# different source, discard the edits of admins, and copy their own edition.
SAMPLE_NAME = "sample 77be39f3c8cf"
PAGE = 100
MAX_PAGES = 1000
MAX_TOO_LARGE = 10  # Oversized products that one copy skips; with more, the copy fails.
MAX_SECONDS = 1800.0  # Duration of one copy.
MAX_REASON = 300  # Characters.


@dataclass(frozen=True)
class KnownPage:
    """A page as last read, with the validators for a conditional request."""

    etag: str | None
    last_modified: str | None
    total: int | None
    length: int


@dataclass(frozen=True)
class Page:
    """A page of a source, beginning at `skip`.

    `products` are raw, or None if the known page is unchanged. `total` is the source's own product count.
    """

    skip: int
    limit: int
    products: list[Any] | None
    total: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    is_too_large: bool = False


# Returns the known page with this `skip` and `limit`.
FindKnown = Callable[[int, int], KnownPage | None]


class Source(Protocol):
    """A product source."""

    @property
    def name(self) -> str:
        """Return the identity of its copies: its location, and the currency of its prices."""

    @property
    def refresh_seconds(self) -> int | None:
        """Return the seconds between two copies, or None if one copy of each edition is enough."""

    @property
    def edition(self) -> int:
        """Return the edition of its contents. A newer one is due at once, and is no different source."""

    def read_pages(self, find_known: FindKnown, *, is_probe: bool) -> Iterator[Page]:
        """Yield the pages in order; raise UpstreamFailed. A probe does not retry its first request."""


class SampleSource:
    """The sample catalogue bundled with the service."""

    refresh_seconds = None
    edition = SAMPLE_EDITION

    def __init__(self, currency: str) -> None:
        self._contents = SAMPLE.read_bytes()
        self.name = f"{SAMPLE_NAME} in {currency}"

    def read_pages(self, _find_known: FindKnown, *, is_probe: bool) -> Iterator[Page]:  # noqa: ARG002  # As in Source.
        """Yield its only page."""
        products = json.loads(self._contents, parse_float=Decimal)
        yield Page(0, len(products), products, len(products), etag=str(self.edition))


class UpstreamSource:
    """An API in the tutorial's format: `/products?limit=&skip=` → `{"products": […], "total"}`."""

    edition = 0  # Its pages say themselves whether they have changed.

    def __init__(self, client: UpstreamClient, currency: str, refresh_seconds: int) -> None:
        self._client = client
        self.name = f"{client.base_url} in {currency}"
        self.refresh_seconds = refresh_seconds

    def read_pages(self, find_known: FindKnown, *, is_probe: bool) -> Iterator[Page]:
        """Yield pages until one is empty, or one is not full and the upstream's own total is reached.

        Each page has its own validators, because one page says nothing about the others. After a page that is
        too large, the limit is halved until the oversized product is isolated.
        """
        seen, limit, too_large, began = 0, PAGE, 0, time.monotonic()
        total: int | None = None
        for number in range(MAX_PAGES):
            if time.monotonic() - began > MAX_SECONDS:
                raise UpstreamFailed(
                    502, f"The product source was too slow: {seen} products in half an hour."
                )
            known = find_known(seen, limit)
            attempts = 1 if is_probe and number == 0 else ATTEMPTS
            try:
                page = self._read_page(seen, limit, known, attempts)
            except PageTooLarge:
                if limit > 1:
                    limit //= 2
                    continue
                too_large += 1
                if too_large > MAX_TOO_LARGE:
                    raise
                page = Page(seen, limit, [None], total, is_too_large=True)
            except UpstreamFailed as error:
                # Some upstreams reject a request past their last product, where an empty page is expected.
                if total is not None and seen >= total and 400 <= error.status < 500:
                    return
                raise
            yield page
            length = known.length if page.products is None and known else len(page.products or [])
            seen, total = seen + length, page.total
            if not length or (length < limit and (total is None or seen >= total)):
                return
            limit = min(PAGE, 2 * limit)
        raise UpstreamFailed(502, f"The product source does not end: the copy stopped after {seen} products.")

    def _read_page(self, skip: int, limit: int, known: KnownPage | None, attempts: int) -> Page:
        etag, modified = (known.etag, known.last_modified) if known else (None, None)
        raw = self._client.fetch_page(
            limit=limit, skip=skip, etag=etag, last_modified=modified, attempts=attempts
        )
        if raw is None:  # The answer to a conditional request, so the page is known.
            return Page(skip, limit, None, known.total if known else None)
        return Page(skip, limit, raw.products, raw.total, raw.etag, raw.last_modified)


def to_offer(raw: Any, currency: str) -> tuple[Offer, list[Adjustment]]:
    """Return a source product as an offer, and the adjustments made to it.

    An invalid optional field is left out. Raises pydantic's ValidationError if the product is invalid.
    """
    reasons: dict[str, str] = {}
    try:
        product = SourceProduct.model_validate(raw)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
        reasons = {str(each["loc"][0]) if each["loc"] else "": each["msg"] for each in reversed(errors)}
        if not reasons.keys() <= OPTIONAL:
            raise
        product = SourceProduct.model_validate({name: raw[name] for name in raw if name not in reasons})
    if product.sku and product.sku != raw["sku"]:
        reasons["sku"] = f'Stored as "{product.sku}": a SKU has single spaces and no control characters.'
    adjusted = [Adjustment(product.id, field, reason[:MAX_REASON]) for field, reason in reasons.items()]
    offer, wrong = product.to_offer(currency)
    adjusted += [Adjustment(product.id, "variants", reason[:MAX_REASON]) for reason in wrong]
    return offer, adjusted
