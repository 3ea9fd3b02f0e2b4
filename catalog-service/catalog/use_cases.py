"""What catalog-service does, a function each."""

import logging
from collections.abc import Iterable, Mapping
from uuid import UUID

from pydantic import ValidationError

from catalog import repository
from catalog.domain import LARGEST_ID, Line, Offer, Product, Reservation, State
from catalog.errors import (
    CatalogueLoading,
    OutOfStock,
    ProductNotFound,
    ProductUnavailable,
    ReservationNotFound,
    UpstreamFailed,
)
from catalog.sources import Source, to_offer
from shared.database import Connection, Database

log = logging.getLogger(__name__)

LEASE = 120  # Seconds for which one replica has the copying to itself.
LONGEST_BACK_OFF = 60
MOST_LAPSES = 500  # Of one round, so that a stopping service need not wait for a long one.


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


def read_products(database: Database, source: Source, ids: Iterable[int]) -> list[Product]:
    """Return those of the products that are for sale; raise CatalogueLoading while nobody can tell."""
    with database.transaction() as connection:
        _require_copy(connection, source)
        return repository.read_products(connection, ids)


def reserve_stock(
    database: Database,
    source: Source,
    currency: str,
    order_id: UUID,
    customer: str,
    quantities: Mapping[int, int],
) -> Reservation:
    """Hold every quantity for the order, or none; asked the same again, return the same hold.

    One that has lapsed is held anew, at its first prices. Raises CatalogueLoading, ProductUnavailable,
    OutOfStock, ReservationConflict or ReservationClosed.
    """
    with database.transaction() as connection:
        if repository.insert_reservation(connection, order_id, customer, currency):
            _require_copy(connection, source)
            products = _hold_units(connection, quantities)
            lines = [
                Line(product.id, product.sku, product.title, quantities[product.id], product.unit_amount)
                for product in products
            ]
            repository.insert_lines(connection, order_id, lines)
        else:
            known = _lock_reservation(connection, order_id)
            known.check_repeat(customer, quantities)
            if known.state is State.LAPSED:
                _hold_units(connection, quantities)
            repository.renew_reservation(connection, order_id)
        reservation = _lock_reservation(connection, order_id)
    log.info("Stock is held for the order")
    return reservation


def commit_reservation(database: Database, order_id: UUID) -> State:
    """Turn what is held into what is sold; again: nothing more.

    Raises ReservationNotFound, ReservationLapsed or ReservationClosed.
    """
    with database.transaction() as connection:
        reservation = _lock_reservation(connection, order_id)
        reservation.check_commit()
        if reservation.state is State.HELD:
            repository.move_units(connection, reservation.quantities, on_hand=-1, reserved=-1)
            repository.record_state(connection, order_id, State.COMMITTED)
    log.info("The order's stock is sold")
    return State.COMMITTED


def release_reservation(database: Database, order_id: UUID) -> State:
    """Give back what is held or was sold; an order without a reservation can have none from now on."""
    with database.transaction() as connection:
        if repository.insert_closed_reservation(connection, order_id):
            return State.CLOSED
        reservation = _lock_reservation(connection, order_id)
        if reservation.state in {State.RELEASED, State.CLOSED}:
            return reservation.state
        if reservation.state is State.HELD:
            repository.move_units(connection, reservation.quantities, reserved=-1)
        elif reservation.state is State.COMMITTED:
            repository.move_units(connection, reservation.quantities, on_hand=1)
        repository.record_state(connection, order_id, State.RELEASED)
    log.info("The order's stock was given back")
    return State.RELEASED


def lapse_reservations(database: Database) -> int:
    """Give back what was held for too long, one hold in a transaction; return how many there were."""
    for count in range(MOST_LAPSES):
        with database.transaction() as connection:
            reservation = repository.lock_overdue_reservation(connection)
            if reservation is None:
                return count
            repository.move_units(connection, reservation.quantities, reserved=-1)
            repository.record_state(connection, reservation.order_id, State.LAPSED)
        log.info("A reservation has lapsed", extra={"order.id": str(reservation.order_id)})
    return MOST_LAPSES


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


def _require_copy(connection: Connection, source: Source) -> None:
    """Raise CatalogueLoading unless the prices are this source's, and so in the shop's currency."""
    copy = repository.read_source_copy(connection)
    if copy.source != source.name or copy.copied_at is None:
        raise CatalogueLoading


def _hold_units(connection: Connection, quantities: Mapping[int, int]) -> list[Product]:
    """Reserve every quantity and return the products, by id; raise ProductUnavailable or OutOfStock."""
    stock = {product.id: product for product in repository.lock_products(connection, quantities)}
    if gone := quantities.keys() - stock.keys():
        raise ProductUnavailable(lines=_explain(quantities, gone, stock))
    if short := quantities.keys() - repository.hold_units(connection, quantities):
        raise OutOfStock(lines=_explain(quantities, short, stock))
    return list(stock.values())


def _explain(
    quantities: Mapping[int, int], ids: Iterable[int], stock: Mapping[int, Product]
) -> list[dict[str, int]]:
    """Return what was wanted of these products beside what there is."""
    return [
        {
            "product_id": number,
            "requested": quantities[number],
            "available": stock[number].stock if number in stock else 0,
        }
        for number in sorted(ids)
    ]


def _lock_reservation(connection: Connection, order_id: UUID) -> Reservation:
    reservation = repository.lock_reservation(connection, order_id)
    if reservation is None:
        raise ReservationNotFound
    return reservation


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
