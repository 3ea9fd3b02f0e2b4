"""SQL for reservations and their lines."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Row, Uuid, bindparam, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by, insert

from catalog.domain import HOLD_DURATION, Line, Reservation, State
from catalog.tables import reservation_lines, reservations, source_copy

# All or nothing. Rows are locked in the order of their ids to avoid deadlocks, also those of products, which
# the trigger of a variant may update. The update writes the values read under the lock, so that constraints
# never see a mix of old and new values of a row.
HOLD_STOCK = text("""
    WITH locked AS MATERIALIZED (
        SELECT id, parent_id, sku, title, variant_title, unit_amount, on_hand, reserved, removed_at,
            withdrawn_at, further_variants, tax_class, weight_grams, category
        FROM products
        WHERE id = ANY (CAST(:ids AS bigint[]) || ARRAY(
            SELECT parent_id FROM products WHERE id = ANY (CAST(:ids AS bigint[])) AND parent_id IS NOT NULL
        ))
        ORDER BY id FOR NO KEY UPDATE
    ), line AS MATERIALIZED (
        SELECT variant.id, variant.parent_id, variant.sku, variant.unit_amount, variant.on_hand,
            variant.reserved, variant.weight_grams, wanted.quantity, product.tax_class,
            concat_ws(', ', product.title, nullif(variant.variant_title, '')) AS line_title,
            coalesce((SELECT path FROM category_keys WHERE key = product.category), product.category)
                AS category
        FROM locked AS variant
            JOIN unnest(CAST(:ids AS bigint[]), CAST(:quantities AS bigint[]))
                AS wanted (id, quantity) USING (id)
            JOIN locked AS product ON product.id = coalesce(variant.parent_id, variant.id)
        WHERE product.removed_at IS NULL AND variant.withdrawn_at IS NULL
            AND wanted.quantity <= variant.on_hand - variant.reserved
            -- A product's number stands for its only variant.
            AND NOT (variant.id = ANY (CAST(:products AS bigint[]))
                AND (variant.further_variants > 0 OR variant.parent_id IS NOT NULL))
    ), begun AS (
        INSERT INTO reservations (order_id, customer, currency, state, expires_at)
        SELECT :order_id, :customer, :currency, 'held', now() + :lasts
        FROM source_copy
        WHERE source = :source AND copied_at IS NOT NULL
            AND (SELECT count(*) FROM line) = cardinality(CAST(:ids AS bigint[]))
        ON CONFLICT DO NOTHING
        RETURNING order_id, expires_at
    ), held AS (
        UPDATE products SET reserved = line.reserved + line.quantity, on_hand = line.on_hand
        FROM line, begun WHERE products.id = line.id
    ), noted AS (
        INSERT INTO reservation_lines (order_id, product_id, sku, title, quantity, unit_amount, parent_id,
                                       tax_class, weight_grams, category)
        SELECT order_id, id, sku, line_title, quantity, unit_amount, parent_id, tax_class, weight_grams,
            category
        FROM line, begun
    )
    SELECT expires_at, id, sku, line_title, quantity, unit_amount, parent_id, tax_class, weight_grams,
        category
    FROM begun, line ORDER BY id
""").bindparams(lasts=HOLD_DURATION)
INSERT_CLOSED = insert(reservations).values(state=State.CLOSED).on_conflict_do_nothing()

# The columns of a Line, in the order of its fields. The lines of a reservation never change.
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
# In the order of their ids, to avoid deadlocks.
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


def hold_stock(
    connection: Connection,
    order_id: UUID,
    customer: str,
    currency: str,
    quantities: Mapping[int, int],
    products: Iterable[int],
    source: str,
) -> Reservation | None:
    """Hold every quantity for the order in one statement, and return the reservation.

    Return None, and hold nothing, if the order already has a reservation, if the stock of a variant is too
    low, if one of the `products` has several variants, or if there is no copy of this source, because only
    its prices are in the currency.
    """
    values = {
        "order_id": order_id,
        "customer": customer,
        "currency": currency,
        "source": source,
        "ids": list(quantities.keys()),
        "quantities": list(quantities.values()),
        "products": list(products),
    }
    rows = connection.execute(HOLD_STOCK, values).all()
    if not rows:
        return None
    lines = tuple(Line(*row[1:]) for row in rows)
    return Reservation(order_id, customer, currency, State.HELD, rows[0].expires_at, lines)


def is_copied(connection: Connection, source: str) -> bool:
    """Return whether there is a copy of this source."""
    copied = select(source_copy.c.source).where(
        source_copy.c.source == source, source_copy.c.copied_at.is_not(None)
    )
    return connection.execute(copied).first() is not None


def insert_closed_reservation(connection: Connection, order_id: UUID) -> bool:
    """Prevent the order from ever reserving; return False if it already has a reservation."""
    return connection.execute(INSERT_CLOSED, {"order_id": order_id}).rowcount == 1


def lock_reservation(connection: Connection, order_id: UUID) -> Reservation | None:
    """Return the order's reservation, locked until the transaction ends, or None."""
    row = connection.execute(LOCK_RESERVATION, {"order": order_id}).first()
    return _reservation(row) if row else None


def lock_reservations(connection: Connection, order_ids: Iterable[UUID]) -> dict[UUID, Reservation]:
    """Return the orders' reservations by order id, locked until the transaction ends."""
    rows = connection.execute(LOCK_RESERVATIONS, {"orders": list(order_ids)})
    return {row.order_id: _reservation(row) for row in rows}


def lock_overdue_reservation(connection: Connection) -> Reservation | None:
    """Return the longest overdue reservation that no other transaction has locked, or None."""
    row = connection.execute(LOCK_OVERDUE).first()
    return _reservation(row) if row else None


def renew_reservation(connection: Connection, order_id: UUID) -> None:
    """Restart the reservation's time if it has lapsed or is overdue.

    The state decides as well as the time, because the clock may have been set back since.
    """
    is_over = or_(reservations.c.state == State.LAPSED, reservations.c.expires_at <= func.now())
    connection.execute(
        update(reservations)
        .where(reservations.c.order_id == order_id, is_over)
        .values(state=State.HELD, expires_at=func.now() + HOLD_DURATION, updated_at=func.now())
    )


def record_states(connection: Connection, order_ids: Iterable[UUID], state: State) -> None:
    """Record the new state of reservations."""
    connection.execute(RECORD_STATES, {"orders": list(order_ids), "new_state": state})


def _reservation(row: Row[Any]) -> Reservation:
    lines = tuple(Line(*line) for line in row.lines or ())
    return Reservation(row.order_id, row.customer, row.currency, State(row.state), row.expires_at, lines)
