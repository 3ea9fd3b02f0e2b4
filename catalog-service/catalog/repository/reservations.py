"""Reservations, and the lines of each."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from catalog.domain import HOLD, Line, Reservation, State
from catalog.tables import reservation_lines, reservations


def insert_reservation(
    connection: Connection, order_id: UUID, customer: str, currency: str
) -> datetime | None:
    """Begin a hold without lines, and return when it ends; None if the order had a reservation before."""
    statement = insert(reservations).values(
        order_id=order_id,
        customer=customer,
        currency=currency,
        state=State.HELD,
        expires_at=func.now() + HOLD,
    )
    begun = statement.on_conflict_do_nothing().returning(reservations.c.expires_at)
    return connection.execute(begun).scalar()


def insert_closed_reservation(connection: Connection, order_id: UUID) -> bool:
    """Keep the order from ever reserving; tell whether it had no reservation before."""
    statement = insert(reservations).values(order_id=order_id, state=State.CLOSED)
    return connection.execute(statement.on_conflict_do_nothing()).rowcount == 1


def insert_lines(connection: Connection, order_id: UUID, lines: Iterable[Line]) -> None:
    """Note what is held."""
    rows = [{"order_id": order_id, **asdict(line)} for line in lines]
    connection.execute(insert(reservation_lines), rows)


def lock_reservation(connection: Connection, order_id: UUID) -> Reservation | None:
    """Return the order's reservation, which nobody else changes until the transaction ends."""
    row = connection.execute(
        select(reservations).where(reservations.c.order_id == order_id).with_for_update()
    ).first()
    return _reservation(connection, row) if row else None


def lock_overdue_reservation(connection: Connection) -> Reservation | None:
    """Return the longest overdue of the holds that nobody else is at, or None."""
    row = connection.execute(
        select(reservations)
        .where(reservations.c.state == text("'held'"), reservations.c.expires_at <= func.now())
        .order_by(reservations.c.expires_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    return _reservation(connection, row) if row else None


def renew_reservation(connection: Connection, order_id: UUID) -> None:
    """Begin the hold's time anew if it has lapsed, or should have by now."""
    connection.execute(
        update(reservations)
        .where(reservations.c.order_id == order_id, reservations.c.expires_at <= func.now())
        .values(state=State.HELD, expires_at=func.now() + HOLD, updated_at=func.now())
    )


def record_state(connection: Connection, order_id: UUID, state: State) -> None:
    """Note the reservation's new state."""
    connection.execute(
        update(reservations)
        .where(reservations.c.order_id == order_id)
        .values(state=state, updated_at=func.now())
    )


def _reservation(connection: Connection, row: Row[Any]) -> Reservation:
    query = (
        select(reservation_lines)
        .where(reservation_lines.c.order_id == row.order_id)
        .order_by(reservation_lines.c.product_id)
    )
    lines = tuple(
        Line(found.product_id, found.sku, found.title, found.quantity, found.unit_amount)
        for found in connection.execute(query)
    )
    return Reservation(row.order_id, row.customer, row.currency, State(row.state), row.expires_at, lines)
