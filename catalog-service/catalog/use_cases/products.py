"""Use cases for customers and other services: list and find products."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from catalog.domain import MAX_ID, Facets, Filter, Product, ProductDetails, Sort, SourceCopy
from catalog.errors import CatalogueLoading, ProductNotFound, UpstreamFailed
from catalog.repository import counts, details, search, variants, words
from catalog.repository.search import Position
from catalog.sources import Source
from catalog.use_cases.metadata_keys import require_marked
from catalog.variants import PricedVariant
from shared.database import Connection, Database

MIN_MATCHES = 3  # With fewer matches on the first page, search tries to correct typos.
MAX_CORRECTED = 8  # Words of one search.
# A word includes combining accents.
WORD = re.compile(r"(?:[^\W_]|[\u0300-\u036f])+")
DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Listing:
    """A page of products; `next` is the position of the next page. `age` is set if the copy is stale."""

    products: list[Product]
    next: Position | None
    corrected: str | None
    facets: Facets | None
    age: int | None


def list_products(
    database: Database,
    source: Source,
    wanted: Filter,
    sort: Sort | None,
    *,
    after: Position | None = None,
    limit: int,
    with_facets: bool = False,
) -> Listing:
    """Return a page of matching products; a sort of None means by relevance.

    If fewer than MIN_MATCHES products match, search corrects unknown words; later pages need the `corrected`
    words of the first page. Raises CatalogueLoading or UpstreamFailed while there is no copy of the source,
    and ValidationFailed for a metadata key that is not marked.
    """
    facets = None
    # Only a filter without stored counts sets planner options, which need a transaction.
    with database.autocommit() if wanted.has_stored_counts else database.transaction() as connection:
        if not wanted.has_stored_counts:
            wanted = search.prepare_filter(connection, wanted)
        if wanted.metadata:
            require_marked(connection, [key for key, _values in wanted.metadata])
        page = search.read_page(connection, wanted, sort, after=after, limit=limit + 1)
        require_copy(page.copy, source)
        if wanted.words is not None and after is None and len(page.products) < MIN_MATCHES:
            wanted = replace(wanted, corrected=_correct(connection, wanted.words))
            if wanted.corrected is not None:
                wanted = search.prepare_filter(connection, wanted)
                page = search.read_page(connection, wanted, sort, after=None, limit=limit + 1)
        if with_facets:
            facets = _read_facets(database, connection, wanted)
    following = page.positions[limit - 1] if len(page.products) > limit else None
    age = find_stale_age(page.copy, source)
    return Listing(page.products[:limit], following, wanted.corrected, facets, age)


def find_product(database: Database, source: Source, product_id: int) -> tuple[ProductDetails, int | None]:
    """Return the product with its variants, and the age of the copy if it is stale; raise ProductNotFound."""
    # A path can contain any number, but the column cannot.
    if product_id > MAX_ID:
        raise ProductNotFound
    with database.autocommit() as connection:
        return _require(*details.find_by_id(connection, product_id), source)


def find_by_slug(database: Database, source: Source, slug: str) -> tuple[ProductDetails, int | None]:
    """Return the product that has or had this slug, as `find_product` does; raise ProductNotFound."""
    # A path can contain any character, but the column cannot.
    if "\0" in slug:
        raise ProductNotFound
    with database.autocommit() as connection:
        return _require(*details.find_by_slug(connection, slug), source)


def _require(
    found: ProductDetails | None, copy: SourceCopy, source: Source
) -> tuple[ProductDetails, int | None]:
    if found is None:
        raise ProductNotFound
    return found, find_stale_age(copy, source)


def recount(database: Database) -> bool:
    """Recount the products if a recount is due and any product has changed; return whether it ran."""
    with database.transaction() as connection:
        if not counts.claim_recount(connection):
            return False
        counts.recount_products(connection)
    return True


def read_prices(database: Database, source: Source, ids: Iterable[int]) -> list[PricedVariant]:
    """Return the variants that are for sale; raise CatalogueLoading while there is no copy of the source."""
    with database.autocommit() as connection:
        found, copy = variants.read_prices(connection, ids)
    # Only the copy of this source has prices in the shop's currency.
    if not _is_copied(copy, source):
        raise CatalogueLoading
    return found


def find_stale_age(copy: SourceCopy, source: Source) -> int | None:
    """Return the age of the copy in seconds if later copies failed or are overdue, else None."""
    if copy.age_seconds is None:
        return None
    is_overdue = source.refresh_seconds is not None and copy.age_seconds > 2 * source.refresh_seconds
    return int(copy.age_seconds) if copy.failures or is_overdue else None


def require_copy(copy: SourceCopy, source: Source) -> None:
    """Raise UpstreamFailed or CatalogueLoading unless there is a copy of this source."""
    if not _is_copied(copy, source):
        if copy.error_status is not None:
            raise UpstreamFailed(
                copy.error_status, copy.error_detail or "", retry_after=max(1.0, copy.next_in_seconds)
            )
        raise CatalogueLoading


def _is_copied(copy: SourceCopy, source: Source) -> bool:
    return copy.source == source.name and copy.copied_at is not None


def _correct(connection: Connection, text: str) -> str | None:
    """Return the text with unknown words replaced by known ones, or None if nothing changes."""
    candidates = {word.lower() for word in WORD.findall(text) if len(word) > 2 and not DIGIT.search(word)}
    known = words.correct_words(connection, sorted(candidates)[:MAX_CORRECTED])
    corrected = WORD.sub(lambda word: known.get(word[0].lower(), word[0]), text)
    return corrected if corrected != text else None


def _read_facets(database: Database, connection: Connection, wanted: Filter) -> Facets:
    if not wanted.has_stored_counts:
        return counts.count_facets(connection, wanted)
    facets = counts.read_facets(connection, wanted)
    if not facets.categories and count_if_empty(database):
        facets = counts.read_facets(connection, wanted)
    return facets


def count_if_empty(database: Database) -> bool:
    """Count the products if no counts are stored yet; return whether that was the case."""
    with database.transaction() as connection:
        return counts.count_if_empty(connection)
