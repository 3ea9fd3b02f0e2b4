"""Reservations, and the lines of each."""

from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Row, Text, Uuid, bindparam, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by, insert

from catalog.domain import HOLD, Line, Reservation, State
from catalog.tables import reservation_lines, reservations, source_copy

BEGUN = {
    reservations.c.order_id: bindparam("order_id", type_=Uuid),
    reservations.c.customer: bindparam("customer", type_=Text),
    reservations.c.currency: bindparam("currency", type_=Text),
    reservations.c.state: literal(State.HELD, Text),
    reservations.c.expires_at: func.now() + HOLD,
}
INSERT_RESERVATION = (
    insert(reservations)
    .from_select(
        list(BEGUN),
        select(*BEGUN.values()).where(
            source_copy.c.source == bindparam("source"), source_copy.c.copied_at.is_not(None)
        ),
    )
    .on_conflict_do_nothing()
    .returning(reservations.c.expires_at)
)
INSERT_CLOSED = insert(reservations).values(state=State.CLOSED).on_conflict_do_nothing()
INSERT_LINES = insert(reservation_lines)

# The columns that make a Line, in its order; the lines of a reservation never change.
LINE = [reservation_lines.c[field.name] for field in fields(Line)]
LINES = (
    select(
        func.jsonb_agg(
            aggregate_order_by(func.jsonb_build_array(*LINE), reservation_lines.c.product_id), type_=JSONB
        )
    )
    .where(reservation_lines.c.order_id == reservations.c.order_id)
    .scalar_subquery()
)
READ = select(reservations, LINES.label("lines"))
LOCK_RESERVATION = READ.where(reservations.c.order_id == bindparam("order")).with_for_update()
# In the order of their ids, so that no two who lock several wait for each other.
LOCK_RESERVATIONS = (
    READ.where(reservations.c.order_id == func.any(bindparam("orders", type_=ARRAY(Uuid))))
    .order_by(reservations.c.order_id)
    .with_for_update()
)
LOCK_OVERDUE = (
    READ.where(reservations.c.state == text("'held'"), reservations.c.expires_at <= func.now())
    .order_by(reservations.c.expires_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
RECORD_STATES = (
    update(reservations)
    .where(reservations.c.order_id == func.any(bindparam("orders", type_=ARRAY(Uuid))))
    .values(state=bindparam("new_state"), updated_at=func.now())
)


def insert_reservation(
    connection: Connection, order_id: UUID, customer: str, currency: str, source: str
) -> datetime | None:
    """Begin a hold without lines, and return when it ends.

    None if the order had a reservation before, or if there is no copy of this source: only its prices are in
    the currency.
    """
    values = {"order_id": order_id, "customer": customer, "currency": currency, "source": source}
    return connection.execute(INSERT_RESERVATION, values).scalar()


def insert_closed_reservation(connection: Connection, order_id: UUID) -> bool:
    """Keep the order from ever reserving; tell whether it had no reservation before."""
    return connection.execute(INSERT_CLOSED, {"order_id": order_id}).rowcount == 1


def insert_lines(connection: Connection, order_id: UUID, lines: Iterable[Line]) -> None:
    """Note what is held."""
    connection.execute(INSERT_LINES, [{"order_id": order_id, **asdict(line)} for line in lines])


def lock_reservation(connection: Connection, order_id: UUID) -> Reservation | None:
    """Return the order's reservation, which nobody else changes until the transaction ends."""
    row = connection.execute(LOCK_RESERVATION, {"order": order_id}).first()
    return _reservation(row) if row else None


def lock_reservations(connection: Connection, order_ids: Iterable[UUID]) -> dict[UUID, Reservation]:
    """Lock the orders' reservations until the transaction ends, and return them by the order's id."""
    rows = connection.execute(LOCK_RESERVATIONS, {"orders": list(order_ids)})
    return {row.order_id: _reservation(row) for row in rows}


def lock_overdue_reservation(connection: Connection) -> Reservation | None:
    """Return the longest overdue of the holds that nobody else is at, or None."""
    row = connection.execute(LOCK_OVERDUE).first()
    return _reservation(row) if row else None


def renew_reservation(connection: Connection, order_id: UUID) -> None:
    """Begin the hold's time anew if it has lapsed, or should have by now.

    What has lapsed counts as such even if the clock was set back since.
    """
    is_over = or_(reservations.c.state == State.LAPSED, reservations.c.expires_at <= func.now())
    connection.execute(
        update(reservations)
        .where(reservations.c.order_id == order_id, is_over)
        .values(state=State.HELD, expires_at=func.now() + HOLD, updated_at=func.now())
    )


def record_states(connection: Connection, order_ids: Iterable[UUID], state: State) -> None:
    """Note the new state of reservations."""
    connection.execute(RECORD_STATES, {"orders": list(order_ids), "new_state": state})


def _reservation(row: Row[Any]) -> Reservation:
    lines = tuple(Line(*line) for line in row.lines or ())
    return Reservation(row.order_id, row.customer, row.currency, State(row.state), row.expires_at, lines)
