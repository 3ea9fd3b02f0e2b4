"""Carts.

A statement that writes several lines of a cart locks them in the order of their variants, so that two of them
cannot deadlock. The database raises the cart's version afterwards, while the lines are locked.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from orders.domain import MOST_UNITS, CartLine, Delivery, StoredCart
from orders.tables import cart_items as items
from orders.tables import carts, orders, pricing

READ_CART = (
    select(
        carts.c.version,
        items.c.product_id,
        items.c.quantity,
        items.c.unit_amount,
        items.c.is_guest,
        items.c.parent_id,
        carts.c.coupon,
        carts.c.delivery,
        select(pricing.c.version).scalar_subquery().label("rules_version"),
    )
    .select_from(carts.outerjoin(items, items.c.owner == carts.c.owner))
    .where(carts.c.owner == bindparam("owner"))
    .order_by(items.c.added_at, items.c.product_id)
)
FIND_ORDERED = (
    select(carts.c.ordered_version, carts.c.order_id)
    .join(orders, orders.c.id == carts.c.order_id)
    .where(carts.c.owner == bindparam("owner"), orders.c.status != "cancelled")
)
INSERT_ITEM = insert(items)
CONFLICT = [items.c.owner, items.c.product_id]
PUT_ITEM = INSERT_ITEM.on_conflict_do_update(
    index_elements=CONFLICT,
    set_={
        **{name: INSERT_ITEM.excluded[name] for name in ("quantity", "unit_amount", "is_guest", "parent_id")},
        "updated_at": func.now(),
    },
)
ADD_ITEMS = INSERT_ITEM.on_conflict_do_update(
    index_elements=CONFLICT,
    set_={
        "quantity": func.least(items.c.quantity + INSERT_ITEM.excluded.quantity, MOST_UNITS),
        "updated_at": func.now(),
    },
)
TAKE_CHOICES = text("""
    UPDATE carts SET coupon = coalesce(carts.coupon, theirs.coupon),
        delivery = coalesce(carts.delivery, theirs.delivery)
    FROM carts AS theirs WHERE carts.owner = :owner AND theirs.owner = :guest
""")
REMOVE_ITEMS = delete(items).where(
    items.c.owner == bindparam("owner"), items.c.product_id.in_(bindparam("ids", expanding=True))
)


def read_cart(connection: Connection, owner: str) -> StoredCart:
    """Return a cart, its lines in the order in which they were added."""
    rows = connection.execute(READ_CART, {"owner": owner}).all()
    lines = [
        CartLine(row.product_id, row.quantity, row.unit_amount, row.is_guest, row.parent_id)
        for row in rows
        if row.product_id is not None
    ]
    if not rows:
        return StoredCart(0, ())
    first = rows[0]
    delivery = Delivery(**(first.delivery or {}))
    return StoredCart(first.version, tuple(lines), first.coupon, delivery, first.rules_version)


def find_ordered_version(connection: Connection, owner: str) -> tuple[int, UUID] | None:
    """Return the last ordered version of a cart and its order, unless that was cancelled."""
    row = connection.execute(FIND_ORDERED, {"owner": owner}).first()
    return (row.ordered_version, row.order_id) if row else None


def bind_cart(connection: Connection, owner: str, order_id: UUID) -> None:
    """Record that the order was made from the current version of the cart."""
    bound = update(carts).where(carts.c.owner == owner)
    connection.execute(bound.values(ordered_version=carts.c.version, order_id=order_id))


def put_choice(connection: Connection, owner: str, **choice: Any) -> None:
    """Set the `coupon` or the `delivery` of a cart; another one gives the cart a new version."""
    [name] = choice
    new = insert(carts).values(owner=owner, version=func.nextval("cart_versions"), **choice)
    changed = {name: new.excluded[name], "version": new.excluded.version, "updated_at": func.now()}
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["owner"],
            set_=changed,
            where=carts.c[name].is_distinct_from(new.excluded[name]),
        )
    )


def take_choices(connection: Connection, guest: str, owner: str) -> None:
    """Give a cart the coupon and the delivery of a guest's cart, unless it has its own."""
    connection.execute(TAKE_CHOICES, {"guest": guest, "owner": owner})


def lock_cart(connection: Connection, owner: str) -> None:
    """Serialize additions to a cart until the transaction ends, so that its lines can be counted."""
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(owner, 0))))


def put_item(connection: Connection, owner: str, line: CartLine) -> None:
    """Set a variant's quantity and current price in a cart."""
    connection.execute(PUT_ITEM, {"owner": owner, **vars(line)})


def add_items(connection: Connection, owner: str, lines: Iterable[CartLine]) -> None:
    """Add lines to a cart; quantities of the same variant are added up to the limit."""
    ordered = sorted(lines, key=lambda line: line.product_id)
    connection.execute(ADD_ITEMS, [{"owner": owner, **vars(line)} for line in ordered])


def remove_items(connection: Connection, owner: str, product_ids: Iterable[int]) -> None:
    """Remove variants from a cart."""
    connection.execute(REMOVE_ITEMS, {"owner": owner, "ids": list(product_ids)})


def take_items(connection: Connection, owner: str) -> list[CartLine]:
    """Empty a cart; return its lines, oldest first. A concurrent call gets none."""
    lines = select(items.c.product_id).where(items.c.owner == owner).order_by(items.c.product_id)
    locked = lines.with_for_update().cte("locked")
    taken = (
        delete(items)
        .where(items.c.owner == owner, items.c.product_id == locked.c.product_id)
        .returning(items)
    )
    rows = sorted(connection.execute(taken), key=lambda row: row.added_at)
    return [CartLine(row.product_id, row.quantity, row.unit_amount, parent_id=row.parent_id) for row in rows]


def adopt_cart(connection: Connection, owner: str) -> None:
    """Turn the cart of a guest who registered into a customer's, which is kept."""
    connection.execute(update(items).where(items.c.owner == owner).values(is_guest=False))


def delete_stale_carts(connection: Connection, *, age: timedelta, limit: int) -> int:
    """Delete guests' carts that have not changed for `age`; return the number of lines."""
    other = items.alias()
    oldest = func.now() - age
    stale = (
        select(items.c.owner, items.c.product_id)
        .where(
            items.c.is_guest,
            items.c.updated_at < oldest,
            ~exists().where(other.c.owner == items.c.owner, other.c.updated_at >= oldest),
        )
        .limit(limit)
        .cte("stale")
    )
    statement = delete(items).where(items.c.owner == stale.c.owner, items.c.product_id == stale.c.product_id)
    return connection.execute(statement).rowcount


def delete_empty_carts(connection: Connection, *, age: timedelta, limit: int) -> int:
    """Delete the versions of carts that have been empty for `age`; return how many."""
    empty = (
        select(carts.c.owner)
        .where(carts.c.updated_at < func.now() - age, ~exists().where(items.c.owner == carts.c.owner))
        .limit(limit)
        .cte("empty")
    )
    # The DELETE checks the age again, because a line may have been added to the cart in the meantime.
    is_old = carts.c.updated_at < func.now() - age
    return connection.execute(delete(carts).where(carts.c.owner == empty.c.owner, is_old)).rowcount
