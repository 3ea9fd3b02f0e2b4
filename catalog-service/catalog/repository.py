"""The tables, and every statement that touches them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Index,
    Integer,
    MetaData,
    Numeric,
    Row,
    Table,
    Text,
    bindparam,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from catalog.domain import Offer, Product, SourceCopy

BATCH = 500  # Rows of one INSERT.

metadata = MetaData()

products = Table(
    "products",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("sku", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("brand", Text),
    Column("category", Text, nullable=False),
    Column("unit_amount", BigInteger, nullable=False),
    Column("description", Text, nullable=False),
    Column("rating", Numeric(3, 2)),
    Column("on_hand", BigInteger, nullable=False),
    Column("images", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("removed_at", DateTime(timezone=True)),
)
Index("products_for_sale", products.c.id, postgresql_where=products.c.removed_at.is_(None))

source_copy = Table(
    "source_copy",
    metadata,
    Column("id", Integer, primary_key=True, server_default=text("1")),
    Column("source", Text),
    Column("copied_at", DateTime(timezone=True)),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("error_status", Integer),
    Column("error_detail", Text),
)

FOR_SALE = products.c.removed_at.is_(None)
# What a source describes; the rest of a row is ours.
DESCRIBED = [
    column for column in products.c if column.name not in {"id", "version", "updated_at", "removed_at"}
]


def read_page(connection: Connection, *, after: int, limit: int) -> list[Product]:
    """Return up to `limit` products with ids above `after`, by id."""
    query = select(products).where(FOR_SALE, products.c.id > after).order_by(products.c.id).limit(limit)
    return [_product(row) for row in connection.execute(query)]


def find_product(connection: Connection, product_id: int) -> Product | None:
    """Return the product if it is for sale."""
    row = connection.execute(select(products).where(FOR_SALE, products.c.id == product_id)).first()
    return _product(row) if row else None


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
    """Make exactly these offers the ones for sale; a row that stays as it was keeps its version."""
    rows = [asdict(offer) for offer in sorted(offers, key=lambda offer: offer.id)]
    for start in range(0, len(rows), BATCH):
        connection.execute(_upsert(rows[start : start + BATCH]))
    ids = bindparam("ids", [row["id"] for row in rows], type_=ARRAY(BigInteger))
    connection.execute(
        update(products)
        .where(FOR_SALE, products.c.id != func.all(ids))
        .values(removed_at=func.now(), version=products.c.version + 1, updated_at=func.now())
    )


def _upsert(rows: list[dict[str, Any]]) -> Any:
    statement = insert(products).values(rows)
    new = statement.excluded
    described = {column.name: new[column.name] for column in DESCRIBED}
    differs = tuple_(*DESCRIBED).is_distinct_from(tuple_(*described.values()))
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={**described, "version": products.c.version + 1, "updated_at": func.now(), "removed_at": None},
        where=or_(differs, products.c.removed_at.is_not(None)),
    )


def _record(connection: Connection, source: str, **values: Any) -> None:
    connection.execute(update(source_copy).where(source_copy.c.source == source).values(**values))


def _in_seconds(seconds: int) -> Any:
    return func.now() + text(f"interval '{int(seconds)} seconds'")


def _product(row: Row[Any]) -> Product:
    values = {**row._mapping}
    values["stock"] = values.pop("on_hand")
    del values["removed_at"]
    return Product(**values)
