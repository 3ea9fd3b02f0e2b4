"""Every statement that touches catalog-service's tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    TableValuedAlias,
    bindparam,
    column,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from catalog.domain import HOLD, Line, Offer, Product, Reservation, SourceCopy, State
from catalog.tables import products, reservation_lines, reservations, source_copy

BATCH = 500  # Rows of one INSERT.

FOR_SALE = products.c.removed_at.is_(None)
STOCK = products.c.on_hand - products.c.reserved
# What a source describes; the rest of a row is ours.
DESCRIBED = [products.c[field.name] for field in fields(Offer) if field.name != "id"]


def read_page(connection: Connection, *, after: int, limit: int) -> list[Product]:
    """Return up to `limit` products with ids above `after`, by id."""
    query = select(products).where(FOR_SALE, products.c.id > after).order_by(products.c.id).limit(limit)
    return [_product(row) for row in connection.execute(query)]


def find_product(connection: Connection, product_id: int) -> Product | None:
    """Return the product if it is for sale."""
    row = connection.execute(select(products).where(FOR_SALE, products.c.id == product_id)).first()
    return _product(row) if row else None


def read_products(connection: Connection, ids: Iterable[int]) -> list[Product]:
    """Return those of the products that are for sale, by id."""
    query = select(products).where(FOR_SALE, products.c.id == _any_of(ids)).order_by(products.c.id)
    return [_product(row) for row in connection.execute(query)]


def lock_products(connection: Connection, ids: Iterable[int]) -> list[Product]:
    """Keep others from changing these products until the transaction ends; return those for sale, by id.

    Whoever needs several locks takes them in the order of the ids, so that no two wait for each other.
    """
    query = select(products).where(products.c.id == _any_of(ids)).order_by(products.c.id)
    rows = connection.execute(query.with_for_update(key_share=True))
    return [_product(row) for row in rows if row.removed_at is None]


def hold_units(connection: Connection, quantities: Mapping[int, int]) -> set[int]:
    """Reserve each product's quantity where so many are left; return the products where it was."""
    wanted = _as_table(quantities)
    held = connection.execute(
        update(products)
        .where(products.c.id == wanted.c.id, wanted.c.quantity <= STOCK)
        .values(reserved=products.c.reserved + wanted.c.quantity)
        .returning(products.c.id)
    )
    return set(held.scalars())


def move_units(
    connection: Connection, quantities: Mapping[int, int], *, on_hand: int = 0, reserved: int = 0
) -> None:
    """Add each product's quantity, times these factors, to what is on hand and to what is reserved."""
    lock_products(connection, quantities)
    moved = _as_table(quantities)
    connection.execute(
        update(products)
        .where(products.c.id == moved.c.id)
        .values(
            on_hand=products.c.on_hand + on_hand * moved.c.quantity,
            reserved=products.c.reserved + reserved * moved.c.quantity,
        )
    )


def insert_reservation(connection: Connection, order_id: UUID, customer: str, currency: str) -> bool:
    """Begin a hold without lines; tell whether the order had no reservation before."""
    return _insert(
        connection,
        order_id=order_id,
        customer=customer,
        currency=currency,
        state=State.HELD,
        expires_at=func.now() + HOLD,
    )


def insert_closed_reservation(connection: Connection, order_id: UUID) -> bool:
    """Keep the order from ever reserving; tell whether it had no reservation before."""
    return _insert(connection, order_id=order_id, state=State.CLOSED)


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


def read_source_copy(connection: Connection) -> SourceCopy:
    """Return how the copying stands."""
    row = connection.execute(
        select(
            source_copy.c.source,
            source_copy.c.copied_at,
            source_copy.c.failures,
            source_copy.c.error_status,
            source_copy.c.error_detail,
        )
    ).one()
    return SourceCopy(**row._mapping)


def claim_copy(connection: Connection, source: str, lease_seconds: int) -> bool:
    """Take the turn to copy if it is due, for `lease_seconds`; a replica that dies loses it after that.

    A source other than the last one is due at once, and what was copied from the last one counts no more.
    """
    changed = source_copy.c.source.is_distinct_from(source)
    now = func.now()
    reset = {"copied_at": None, "failures": 0, "error_status": None, "error_detail": None}
    connection.execute(update(source_copy).where(changed).values(source=source, next_attempt_at=now, **reset))
    claimed = connection.execute(
        update(source_copy)
        .where(source_copy.c.next_attempt_at <= now)
        .values(next_attempt_at=now + text(f"interval '{int(lease_seconds)} seconds'"))
    )
    return claimed.rowcount == 1


def record_copy(connection: Connection, source: str, next_in_seconds: int | None) -> None:
    """Note that the copy succeeded, and when the next one is due: never, if None."""
    due = text("'infinity'") if next_in_seconds is None else _in_seconds(next_in_seconds)
    _record(
        connection,
        source,
        copied_at=func.now(),
        next_attempt_at=due,
        failures=0,
        error_status=None,
        error_detail=None,
    )


def record_failure(
    connection: Connection, source: str, status: int, detail: str, next_in_seconds: int
) -> None:
    """Note that the copy failed, and why."""
    _record(
        connection,
        source,
        next_attempt_at=_in_seconds(next_in_seconds),
        failures=source_copy.c.failures + 1,
        error_status=status,
        error_detail=detail,
    )


def replace_offers(connection: Connection, offers: Sequence[Offer]) -> None:
    """Make exactly these offers the ones for sale; a row that stays as it was keeps its version.

    What was sold here stays sold: stock moves by what changed at the source, and never below what is held.
    """
    rows = [
        {**asdict(offer), "on_hand": offer.source_on_hand}
        for offer in sorted(offers, key=lambda offer: offer.id)
    ]
    # Every row in the order of the ids, as in `lock_products`.
    connection.execute(select(products.c.id).order_by(products.c.id).with_for_update(key_share=True))
    for start in range(0, len(rows), BATCH):
        connection.execute(_upsert(rows[start : start + BATCH]))
    connection.execute(
        update(products)
        .where(FOR_SALE, products.c.id != func.all(_array([row["id"] for row in rows])))
        .values(removed_at=func.now(), version=products.c.version + 1, updated_at=func.now())
    )


def _upsert(rows: list[dict[str, Any]]) -> Any:
    statement = insert(products).values(rows)
    new = statement.excluded
    described = {known.name: new[known.name] for known in DESCRIBED}
    differs = tuple_(*DESCRIBED).is_distinct_from(tuple_(*described.values()))
    change = new.source_on_hand - func.coalesce(products.c.source_on_hand, new.source_on_hand)
    on_hand = func.greatest(products.c.on_hand + change, products.c.reserved)
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            **described,
            "on_hand": on_hand,
            "version": products.c.version + 1,
            "updated_at": func.now(),
            "removed_at": None,
        },
        where=or_(differs, products.c.removed_at.is_not(None)),
    )


def _record(connection: Connection, source: str, **values: Any) -> None:
    connection.execute(update(source_copy).where(source_copy.c.source == source).values(**values))


def _in_seconds(seconds: int) -> Any:
    return func.now() + text(f"interval '{int(seconds)} seconds'")


def _insert(connection: Connection, **values: Any) -> bool:
    statement = insert(reservations).values(**values).on_conflict_do_nothing()
    return connection.execute(statement.returning(reservations.c.order_id)).first() is not None


def _array(ids: Iterable[int]) -> Any:
    return bindparam(None, list(ids), type_=ARRAY(BigInteger))


def _any_of(ids: Iterable[int]) -> Any:
    return func.any(_array(ids))


def _as_table(quantities: Mapping[int, int]) -> TableValuedAlias:
    """Return a table of ids and quantities that a statement can join."""
    columns = column("id", BigInteger), column("quantity", BigInteger)
    arrays = _array(quantities.keys()), _array(quantities.values())
    return func.unnest(*arrays).table_valued(*columns).render_derived(name="units")


def _product(row: Row[Any]) -> Product:
    values = {**row._mapping}
    values["stock"] = values.pop("on_hand") - values.pop("reserved")
    for name in ("source_on_hand", "removed_at"):
        del values[name]
    return Product(**values)


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
