"""Looking around."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from catalog.domain import LARGEST_ID, Count, Facets, Filter, Product, Sort, SourceCopy
from catalog.errors import CatalogueLoading, ProductNotFound, UpstreamFailed
from catalog.repository import counts, products, search, words
from catalog.repository import source as source_copies
from catalog.repository.search import Position
from catalog.sources import Source
from shared.database import Connection, Database

FEW = 3  # With fewer products than this, the words may be misspelt.
MOST_CORRECTED = 8  # Words of a search.
# With the accents that stand for themselves, behind their letters.
WORD = re.compile(r"(?:[^\W_]|[\u0300-\u036f])+")
DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Listing:
    """A page of products; `next` is where the one after begins. `age` is told if the copy is too old."""

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
    """Return a page of the products that fit; None is the order of how well they fit the words.

    If hardly anything fits the words, and some of them are unknown, they are taken for misspelt; the pages
    after are asked for with the `corrected` words of the first. Raises CatalogueLoading or UpstreamFailed
    while no copy of the source has been had.
    """
    facets = None
    # Numbers that are kept need no plan of their own, and what needs none needs no transaction.
    with database.autocommit() if wanted.is_counted else database.transaction() as connection:
        page = search.read_page(connection, wanted, sort, after=after, limit=limit + 1)
        _require_copy(page.copy, source)
        if wanted.words is not None and after is None and len(page.products) < FEW:
            wanted = replace(wanted, corrected=_correct(connection, wanted.words))
            if wanted.corrected is not None:
                page = search.read_page(connection, wanted, sort, after=None, limit=limit + 1)
        if with_facets and not wanted.is_counted:
            facets = counts.count_facets(connection, wanted)
    if with_facets and wanted.is_counted:
        facets = _read_facets(database, wanted)
    following = page.positions[limit - 1] if len(page.products) > limit else None
    age = find_age(page.copy, source)
    return Listing(page.products[:limit], following, wanted.corrected, facets, age)


def find_product(database: Database, source: Source, product_id: int) -> tuple[Product, int | None]:
    """Return the product, and the copy's age if that is too old; raise ProductNotFound."""
    # A path may hold any number, and the column's type may not.
    if product_id > LARGEST_ID:
        raise ProductNotFound
    with database.autocommit() as connection:
        product, copy = products.find_product(connection, product_id)
    if product is None:
        raise ProductNotFound
    return product, find_age(copy, source)


def list_categories(
    database: Database, source: Source, *, after: str, limit: int
) -> tuple[list[Count], str | None, int | None]:
    """Return a page of the categories by name, the name after which the next begins, and the age as above.

    Raises CatalogueLoading or UpstreamFailed while no copy of the source has been had.
    """
    with database.autocommit() as connection:
        copy = source_copies.read_source_copy(connection)
        _require_copy(copy, source)
        found = counts.read_categories(connection, after=after, limit=limit + 1)
    if not found and _count_first(database):
        with database.autocommit() as connection:
            found = counts.read_categories(connection, after=after, limit=limit + 1)
    following = found[limit - 1].name if len(found) > limit else None
    return found[:limit], following, find_age(copy, source)


def recount(database: Database) -> bool:
    """Count the products anew if that is due and any changed; tell whether it was done."""
    with database.transaction() as connection:
        if not counts.claim_recount(connection):
            return False
        counts.recount_products(connection)
    return True


def read_products(database: Database, source: Source, ids: Iterable[int]) -> list[Product]:
    """Return those of the products that are for sale; raise CatalogueLoading while nobody can tell."""
    with database.autocommit() as connection:
        found, copy = products.read_products(connection, ids)
    # The prices are this source's, and so in the shop's currency.
    if not _is_copied(copy, source):
        raise CatalogueLoading
    return found


def find_age(copy: SourceCopy, source: Source) -> int | None:
    """Return the seconds since the copy was made, if that failed or should have happened again since."""
    if copy.age_seconds is None:
        return None
    is_overdue = source.refresh_seconds is not None and copy.age_seconds > 2 * source.refresh_seconds
    return int(copy.age_seconds) if copy.failures or is_overdue else None


def _require_copy(copy: SourceCopy, source: Source) -> None:
    """Raise what keeps us from having a copy of this source, if anything does."""
    if not _is_copied(copy, source):
        if copy.error_status is not None:
            raise UpstreamFailed(
                copy.error_status, copy.error_detail or "", retry_after=max(1.0, copy.next_in_seconds)
            )
        raise CatalogueLoading


def _is_copied(copy: SourceCopy, source: Source) -> bool:
    return copy.source == source.name and copy.copied_at is not None


def _correct(connection: Connection, text: str) -> str | None:
    """Return the text with known words in the place of unknown ones, or None if that changes nothing."""
    asked = {word.lower() for word in WORD.findall(text) if len(word) > 2 and not DIGIT.search(word)}
    known = words.correct_words(connection, sorted(asked)[:MOST_CORRECTED])
    corrected = WORD.sub(lambda word: known.get(word[0].lower(), word[0]), text)
    return corrected if corrected != text else None


def _read_facets(database: Database, wanted: Filter) -> Facets:
    with database.autocommit() as connection:
        facets = counts.read_facets(connection, wanted)
    if not facets.categories and _count_first(database):
        with database.autocommit() as connection:
            facets = counts.read_facets(connection, wanted)
    return facets


def _count_first(database: Database) -> bool:
    with database.transaction() as connection:
        return counts.count_first(connection)
