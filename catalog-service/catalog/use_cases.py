"""What catalog-service does, a function each."""

import logging

from pydantic import ValidationError

from catalog import repository
from catalog.domain import LARGEST_ID, Offer, Product
from catalog.errors import CatalogueLoading, ProductNotFound, UpstreamFailed
from catalog.sources import Source, to_offer
from shared.database import Database

log = logging.getLogger(__name__)

LEASE = 120  # Seconds for which one replica has the copying to itself.
LONGEST_BACK_OFF = 60


def list_products(
    database: Database, source: Source, *, after: int, limit: int
) -> tuple[list[Product], int | None]:
    """Return a page of products, and the id after which the next page begins, if there is one.

    Raises CatalogueLoading or UpstreamFailed while no copy of the source has been had.
    """
    with database.snapshot() as connection:
        page = repository.read_page(connection, after=after, limit=limit + 1)
        if not page or after == 0:
            copy = repository.read_source_copy(connection)
            if copy.source != source.name or copy.copied_at is None:
                if copy.error_status is not None:
                    raise UpstreamFailed(copy.error_status, copy.error_detail or "")
                raise CatalogueLoading
    more = len(page) > limit
    return page[:limit], page[limit - 1].id if more else None


def find_product(database: Database, product_id: int) -> Product:
    """Return the product; raise ProductNotFound if it is not for sale."""
    # A path may hold any number, and the column's type may not.
    if product_id > LARGEST_ID:
        raise ProductNotFound
    with database.transaction() as connection:
        product = repository.find_product(connection, product_id)
    if product is None:
        raise ProductNotFound
    return product


def copy_source(database: Database, source: Source, currency: str) -> bool:
    """Copy the source into the catalogue if that is due and no other replica is at it; tell whether it was.

    What is on sale changes in one transaction, after the last page has come.
    """
    with database.transaction() as connection:
        if not repository.claim_copy(connection, source.name, LEASE):
            return False
    try:
        offers = _read_offers(source, currency)
    except UpstreamFailed as error:
        log.warning(
            "The product source failed: %s", error.detail, extra={"http.response.status_code": error.status}
        )
        with database.transaction() as connection:
            failures = repository.read_source_copy(connection).failures
            wait = min(2**failures, LONGEST_BACK_OFF, source.refresh_seconds or LONGEST_BACK_OFF)
            repository.record_failure(connection, source.name, error.status, error.detail, wait)
        return True
    with database.transaction() as connection:
        repository.replace_offers(connection, offers)
        repository.record_copy(connection, source.name, source.refresh_seconds)
    log.info("%d products were copied from the source", len(offers))
    return True


def _read_offers(source: Source, currency: str) -> list[Offer]:
    """Return each product of the source once; one that is not valid is passed over, and said."""
    offers: dict[int, Offer] = {}
    for page in source.read_pages():
        for raw in page:
            try:
                offer = to_offer(raw, currency)
            except ValidationError as error:
                fields = sorted({str(item["loc"][0]) for item in error.errors() if item["loc"]})
                log.warning("A product of the source was rejected", extra={"fields": fields})
                continue
            offers[offer.id] = offer
    return list(offers.values())
