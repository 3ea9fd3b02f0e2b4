"""SQL that writes the source's offers. It locks and writes only changed rows, in the order of their ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Numeric,
    Result,
    Text,
    and_,
    bindparam,
    case,
    column,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from catalog.domain import FIRST_LOCAL_ID, Offer
from catalog.repository.arrays import IDS, as_texts
from catalog.repository.edits import DESCRIBED, ENDS_OF_SALE, OF_VARIANTS, OFFERED, is_edited
from catalog.repository.pages import to_json
from catalog.repository.prices import describe, set_regular_amount
from catalog.repository.stock import OWNED, lock_rows, settle
from catalog.tables import FOR_SALE, IS_SOLD, products

FROM_SOURCE = and_(FOR_SALE, products.c.id < FIRST_LOCAL_ID)


@dataclass(frozen=True)
class Outcome:
    """The numbers of products that a batch added and changed."""

    added: int
    changed: int


@dataclass(frozen=True)
class Owner:
    """The variant that has a SKU, and its product."""

    variant_id: int
    product_id: int


def copy_offers(connection: Connection, offers: Sequence[Offer], *, overwrite: bool = False) -> Outcome:
    """Write these offers; an unchanged row keeps its version and is not locked.

    Fields edited by an admin stay, unless `overwrite` is set. Products removed by an admin stay removed. The
    stock changes by the difference at the source, so that units sold here stay sold.
    """
    if not offers:
        return Outcome(0, 0)
    offered = _as_table(offers)
    differs = _update_to(offered.c, overwrite=overwrite)[1]
    fresh = (
        select(*offered.c, offered.c.source_on_hand.label("on_hand"))
        .select_from(offered.outerjoin(products, products.c.id == offered.c.id))
        .where(or_(products.c.id.is_(None), differs))
        .order_by(offered.c.id)
    )
    names = [*offered.c.keys(), "on_hand"]
    statement = insert(products).from_select(names, fresh)
    values, differs = _update_to(statement.excluded, overwrite=overwrite)
    written: Result[Any] = connection.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_=values, where=differs).returning(
            literal_column("old.id IS NULL")
        )
    )
    added = list(written.scalars())
    return Outcome(sum(added), len(added) - sum(added))


def remove_products(connection: Connection, ids: Iterable[int]) -> int:
    """Mark these products as removed but keep their rows for orders; return how many were for sale."""
    ids = list(ids)
    lock_rows(connection, ids)
    removed = connection.execute(
        update(products)
        .where(FOR_SALE, products.c.id == func.any(IDS))
        .values(removed_at=func.now(), version=products.c.version + 1, updated_at=func.now()),
        {"ids": ids},
    )
    return removed.rowcount


def read_source_ids(connection: Connection) -> list[int]:
    """Return the ids of the source's products for sale, in order."""
    return list(
        connection.execute(select(products.c.id).where(FROM_SOURCE).order_by(products.c.id)).scalars()
    )


def find_taken_skus(connection: Connection, skus: Iterable[str]) -> dict[str, Owner]:
    """Return the SKUs that an admin assigned to a variant for sale, with their owners."""
    assigned_here = or_(
        and_(products.c.id >= FIRST_LOCAL_ID, products.c.source_sku.is_(None)), is_edited("sku")
    )
    wanted = and_(IS_SOLD, assigned_here, products.c.sku == func.any(as_texts(skus)))
    first = select(products.c.sku, products.c.id, products.c.id.label("product_id")).where(FOR_SALE, wanted)
    # Two queries, each with its own index.
    parent = products.alias("parent")
    further = (
        select(products.c.sku, products.c.id, products.c.parent_id)
        .join(parent, parent.c.id == products.c.parent_id)
        .where(products.c.parent_id.is_not(None), wanted, parent.c.removed_at.is_(None))
    )
    return {row.sku: Owner(row.id, row.product_id) for row in connection.execute(union_all(first, further))}


def _update_to(new: Any, *, overwrite: bool) -> tuple[dict[str, Any], Any]:
    """Return the values of a product after an update to `new`, and the condition that any of them differs."""
    kept: ColumnElement[Any] = products.c.edited
    if overwrite:
        kept = ENDS_OF_SALE

    def choose(name: str, ours: Any, theirs: Any) -> Any:
        return theirs if overwrite else case((is_edited(name), ours), else_=theirs)

    described = {name: choose(name, describe(name), new[name]) for name in DESCRIBED}
    removed_at = case((is_edited("removed"), products.c.removed_at), else_=None)
    differs = or_(
        tuple_(*[describe(name) for name in DESCRIBED]).is_distinct_from(tuple_(*described.values())),
        products.c.removed_at.is_distinct_from(removed_at),
    )
    supplied = choose("stock", products.c.source_on_hand, new.source_on_hand)
    # NULL means that no source has reported a stock yet; then the stock stays.
    owned = OWNED + supplied - func.coalesce(products.c.source_on_hand, supplied)
    restocked = products.c.source_on_hand.is_distinct_from(supplied)
    values = {
        **described,
        **set_regular_amount(described["unit_amount"]),
        **settle(owned, products.c.reserved),
        "source_on_hand": supplied,
        "edited": kept,
        "removed_at": removed_at,
        # A new stock count keeps the version, so that a PATCH based on the earlier read still succeeds.
        "version": products.c.version + case((differs, 1), else_=0),
        "updated_at": case((differs, func.now()), else_=products.c.updated_at),
    }
    return values, or_(differs, restocked, products.c.edited != kept)


def _as_table(offers: Sequence[Offer]) -> FromClause:
    types: dict[str, Any] = {
        "id": BigInteger,
        "unit_amount": BigInteger,
        "source_on_hand": BigInteger,
        "rating": Numeric,
        "images": ARRAY(Text),
    }
    columns: list[Any] = [column(name, types.get(name, Text)) for name in OFFERED]
    rows = to_json(offers, without=OF_VARIANTS)
    records = func.jsonb_to_recordset(bindparam(None, rows, type_=JSONB))
    return records.table_valued(*columns).render_derived(name="offered", with_types=True)
