"""Use cases for orders-service: reserve, commit and release stock."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from uuid import UUID

from catalog.domain import Reservation, State
from catalog.errors import (
    CatalogueLoading,
    ItemVariantRequired,
    OutOfStock,
    ProductUnavailable,
    ReservationNotFound,
    StockInconsistent,
)
from catalog.repository import reservations, stock, variants
from catalog.sources import Source
from catalog.variants import Variant
from shared import context
from shared.database import Connection, Database
from shared.errors import Problem

log = logging.getLogger(__name__)

MAX_LAPSES = 500  # Reservations per run; short runs do not delay the shutdown of the service.


def reserve_stock(
    database: Database,
    source: Source,
    currency: str,
    order_id: UUID,
    customer: str,
    quantities: Mapping[int, int],
    products: Collection[int] = (),
) -> Reservation:
    """Hold every quantity for the order, or none; a repeated request returns the same reservation.

    The `products` among the numbers stand for the only variant of a product. A repeated request also renews a
    lapsed reservation, at its first prices. Raises CatalogueLoading, ProductUnavailable, ItemVariantRequired,
    OutOfStock, ReservationConflict or ReservationClosed.
    """
    hold = partial(
        reservations.hold_stock,
        order_id=order_id,
        customer=customer,
        currency=currency,
        quantities=quantities,
        products=products,
        source=source.name,
    )
    with database.autocommit() as connection:
        reservation = hold(connection)
    # A concurrent request for the same order may reserve first; the next iteration then finds its
    # reservation.
    while reservation is None:
        with database.transaction() as connection:
            known = reservations.lock_reservation(connection, order_id)
            if known:
                reservation = _renew(connection, known, customer, quantities)
            elif not reservations.is_copied(connection, source.name):
                raise CatalogueLoading
            else:
                _check_units(connection, quantities, products)
                reservation = hold(connection)
    context.bind({"reservation.state": reservation.state})
    return reservation


def commit_reservation(database: Database, order_id: UUID) -> State:
    """Turn held units into sold units; a repeated call changes nothing.

    Raises ReservationNotFound, ReservationLapsed or ReservationClosed.
    """
    with database.transaction() as connection:
        reservation = _lock_reservation(connection, order_id)
        reservation.check_commit()
        if reservation.state is State.HELD:
            stock.move_units(connection, reservation.quantities, sold=1, reserved=-1)
            reservations.record_states(connection, [order_id], State.COMMITTED)
    context.bind({"reservation.state": State.COMMITTED})
    return State.COMMITTED


def commit_reservations(database: Database, order_ids: Iterable[UUID]) -> dict[UUID, Problem | None]:
    """Commit the reservations of several orders; return each order's problem, or None on success.

    A product in several orders is written once. Problems are ReservationNotFound, ReservationLapsed,
    ReservationClosed and StockInconsistent.
    """
    wanted = list(dict.fromkeys(order_ids))
    try:
        return _commit_together(database, wanted)
    except StockInconsistent:
        # The counts of one product are wrong. Orders for other products must still succeed.
        log.warning("A batch of reservations cannot be committed; committing them one by one")
        return {order_id: _commit_alone(database, order_id) for order_id in wanted}


def _commit_together(database: Database, order_ids: list[UUID]) -> dict[UUID, Problem | None]:
    with database.transaction() as connection:
        found = reservations.lock_reservations(connection, order_ids)
        problems = {order_id: _find_problem(found.get(order_id)) for order_id in order_ids}
        held = [each for each in found.values() if each.state is State.HELD and not problems[each.order_id]]
        if held:
            quantities = sum((Counter(each.quantities) for each in held), Counter[int]())
            stock.move_units(connection, quantities, sold=1, reserved=-1)
            reservations.record_states(connection, [each.order_id for each in held], State.COMMITTED)
    context.bind({"orders.committed": len(held)})
    return problems


def _commit_alone(database: Database, order_id: UUID) -> Problem | None:
    try:
        commit_reservation(database, order_id)
    except StockInconsistent as problem:
        log.exception("A reservation cannot be committed", extra={"order.id": str(order_id)})
        return problem
    except Problem as problem:
        return problem
    return None


def _find_problem(reservation: Reservation | None) -> Problem | None:
    try:
        if reservation is None:
            raise ReservationNotFound
        reservation.check_commit()
    except Problem as problem:
        return problem
    return None


def release_reservation(database: Database, order_id: UUID) -> State:
    """Return held or sold units to stock; an order without a reservation can no longer make one."""
    with database.transaction() as connection:
        if reservations.insert_closed_reservation(connection, order_id):
            return State.CLOSED
        reservation = _lock_reservation(connection, order_id)
        if reservation.state in {State.RELEASED, State.CLOSED}:
            return reservation.state
        if reservation.state is State.HELD:
            stock.move_units(connection, reservation.quantities, reserved=-1)
        elif reservation.state is State.COMMITTED:
            stock.move_units(connection, reservation.quantities, sold=-1)
        reservations.record_states(connection, [order_id], State.RELEASED)
    context.bind({"reservation.state": State.RELEASED})
    return State.RELEASED


def lapse_reservations(database: Database) -> int:
    """Release overdue reservations, one per transaction; return their number."""
    for count in range(MAX_LAPSES):
        with database.transaction() as connection:
            reservation = reservations.lock_overdue_reservation(connection)
            if reservation is None:
                return count
            stock.move_units(connection, reservation.quantities, reserved=-1)
            reservations.record_states(connection, [reservation.order_id], State.LAPSED)
        log.info("A reservation has lapsed", extra={"order.id": str(reservation.order_id)})
    return MAX_LAPSES


def _renew(
    connection: Connection, known: Reservation, customer: str, quantities: Mapping[int, int]
) -> Reservation:
    known.check_repeat(customer, quantities)
    if known.state is State.LAPSED:
        _check_units(connection, quantities)
        stock.move_units(connection, quantities, reserved=1)
    reservations.renew_reservation(connection, known.order_id)
    return _lock_reservation(connection, known.order_id)


def _check_units(
    connection: Connection, quantities: Mapping[int, int], products: Collection[int] = ()
) -> None:
    """Lock the variants; raise a refusal unless each is for sale, named, and has enough stock."""
    found = {variant.id: variant for variant in variants.lock_variants(connection, quantities)}
    if products and (ambiguous := variants.list_ambiguous(connection, products)):
        raise ItemVariantRequired(lines=[{"product_id": number} for number in ambiguous])
    if unavailable := quantities.keys() - found.keys():
        raise ProductUnavailable(lines=_explain(quantities, unavailable, found))
    if short := {number for number in quantities if found[number].stock < quantities[number]}:
        raise OutOfStock(lines=_explain(quantities, short, found))


def _explain(
    quantities: Mapping[int, int], ids: Iterable[int], found: Mapping[int, Variant]
) -> list[dict[str, int]]:
    """Return the requested and the available quantity of each of these variants."""
    return [
        {
            "product_id": number,
            "requested": quantities[number],
            "available": found[number].stock if number in found else 0,
        }
        for number in sorted(ids)
    ]


def _lock_reservation(connection: Connection, order_id: UUID) -> Reservation:
    reservation = reservations.lock_reservation(connection, order_id)
    if reservation is None:
        raise ReservationNotFound
    return reservation
