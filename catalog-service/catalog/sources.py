"""Where products come from: an upstream in the tutorial's shape, or the bundled sample."""

import hashlib
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
PAGE = 100
MOST_PAGES = 1000
MOST_TOO_LARGE = 10  # Products of one copy that are too large to be read; with more, the source is hopeless.
MOST_SECONDS = 1800.0  # Of one copy, however many pages it has.
LONGEST_REASON = 300


@dataclass(frozen=True)
class Known:
    """A page as it was when last read: what to ask the upstream for changes with."""

    etag: str | None
    last_modified: str | None
    total: int | None
    length: int


@dataclass(frozen=True)
class Page:
    """A page of a source that begins at `skip`.

    `products` are raw; None if it is the page that was known. `total` is what the source says it has in all.
    """

    skip: int
    limit: int
    products: list[Any] | None
    total: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    is_too_large: bool = False


# Return what is known of the page that begins there and has this limit.
FindKnown = Callable[[int, int], Known | None]


class Source(Protocol):
    """A product source."""

    @property
    def name(self) -> str:
        """Return what tells its copies from others: where it is, its state, the currency of its prices."""

    @property
    def refresh_seconds(self) -> int | None:
        """Return the seconds between two copies, or None if one is enough."""

    def read_pages(self, find_known: FindKnown, *, is_probe: bool) -> Iterator[Page]:
        """Yield pages one after the other; raise UpstreamFailed, for a probe after the first try already."""


class SampleSource:
    """The sample catalogue that comes with the service."""

    refresh_seconds = None

    def __init__(self, currency: str) -> None:
        self._contents = SAMPLE.read_bytes()
        self.name = f"sample {hashlib.sha256(self._contents).hexdigest()[:12]} in {currency}"

    def read_pages(self, _find_known: FindKnown, *, is_probe: bool) -> Iterator[Page]:  # noqa: ARG002
        """Yield the one page that it has."""
        products = json.loads(self._contents, parse_float=Decimal)
        yield Page(0, len(products), products, len(products))


class UpstreamSource:
    """An API in the tutorial's shape: `/products?limit=&skip=` → `{"products": […], "total"}`."""

    def __init__(self, client: UpstreamClient, currency: str, refresh_seconds: int) -> None:
        self._client = client
        self.name = f"{client.base_url} in {currency}"
        self.refresh_seconds = refresh_seconds

    def read_pages(self, find_known: FindKnown, *, is_probe: bool) -> Iterator[Page]:
        """Yield pages until one is empty, or the last of the upstream's own total is not full.

        Each page is asked for with its own validators: the first says nothing of the others.
        One that is too large is halved until the product that makes it so is alone.
        """
        seen, limit, too_large, began = 0, PAGE, 0, time.monotonic()
        total: int | None = None
        for number in range(MOST_PAGES):
            if time.monotonic() - began > MOST_SECONDS:
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
                if too_large > MOST_TOO_LARGE:
                    raise
                page = Page(seen, limit, [None], total, is_too_large=True)
            except UpstreamFailed as error:
                # Some refuse to be asked for what lies past their end, where there should be nothing anyway.
                if total is not None and seen >= total and 400 <= error.status < 500:
                    return
                raise
            yield page
            length = known.length if page.products is None and known else len(page.products or [])
            seen, total = seen + length, page.total
            if not length or (length < limit and (total is None or seen >= total)):
                return
            limit = min(PAGE, 2 * limit)
        raise UpstreamFailed(502, f"The product source has no end: {seen} products and more.")

    def _read_page(self, skip: int, limit: int, known: Known | None, attempts: int) -> Page:
        etag, modified = (known.etag, known.last_modified) if known else (None, None)
        raw = self._client.fetch_page(
            limit=limit, skip=skip, etag=etag, last_modified=modified, attempts=attempts
        )
        if raw is None and known:
            return Page(skip, limit, None, known.total)
        if raw is None:
            raise UpstreamFailed(502, "The product source says that nothing has changed since nothing.")
        return Page(skip, limit, raw.products, raw.total, raw.etag, raw.last_modified)


def to_offer(raw: Any, currency: str) -> tuple[Offer, list[Adjustment]]:
    """Return a source's product as an offer, and what is not in it as the source says.

    What is wrong in an optional field is left out. Raises pydantic's ValidationError if it is no product.
    """
    wrong: dict[str, str] = {}
    try:
        product = SourceProduct.model_validate(raw)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
        wrong = {str(each["loc"][0]) if each["loc"] else "": each["msg"] for each in reversed(errors)}
        if not wrong.keys() <= OPTIONAL:
            raise
        product = SourceProduct.model_validate({name: raw[name] for name in raw if name not in wrong})
    if product.sku and product.sku != raw["sku"]:
        wrong["sku"] = f'It is "{product.sku}" here: a SKU has single blanks, and no control characters.'
    adjusted = [Adjustment(product.id, field, reason[:LONGEST_REASON]) for field, reason in wrong.items()]
    return product.to_offer(currency), adjusted
