"""What people mean to buy."""

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Connection, bindparam, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert

from orders.domain import MOST_UNITS, CartLine
from orders.tables import cart_items as items

READ_CART = (
    select(items.c.product_id, items.c.quantity, items.c.unit_amount, items.c.is_guest)
    .where(items.c.owner == bindparam("owner"))
    .order_by(items.c.added_at, items.c.product_id)
)
INSERT_ITEM = insert(items)
CONFLICT = [items.c.owner, items.c.product_id]
PUT_ITEM = INSERT_ITEM.on_conflict_do_update(
    index_elements=CONFLICT,
    set_={
        **{name: INSERT_ITEM.excluded[name] for name in ("quantity", "unit_amount", "is_guest")},
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
REMOVE_ITEMS = delete(items).where(
    items.c.owner == bindparam("owner"), items.c.product_id.in_(bindparam("ids", expanding=True))
)


def read_cart(connection: Connection, owner: str) -> tuple[CartLine, ...]:
    """Return what is in a cart, in the order in which it was put there."""
    return tuple(CartLine(**row._mapping) for row in connection.execute(READ_CART, {"owner": owner}))


def lock_cart(connection: Connection, owner: str) -> None:
    """Keep others from putting lines into a cart until the transaction ends, so that they can be counted."""
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(owner, 0))))


def put_item(connection: Connection, owner: str, line: CartLine) -> None:
    """Set a product's quantity in a cart, and the price at which it is put in."""
    connection.execute(PUT_ITEM, {"owner": owner, **vars(line)})


def add_items(connection: Connection, owner: str, lines: Iterable[CartLine]) -> None:
    """Put lines into a cart; what is in it already is added to, up to the limit."""
    connection.execute(ADD_ITEMS, [{"owner": owner, **vars(line)} for line in lines])


def remove_items(connection: Connection, owner: str, product_ids: Iterable[int]) -> None:
    """Take products out of a cart."""
    connection.execute(REMOVE_ITEMS, {"owner": owner, "ids": list(product_ids)})


def take_items(connection: Connection, owner: str) -> list[CartLine]:
    """Empty a cart; return what was in it, oldest first. Whoever does the same at once gets nothing."""
    taken = delete(items).where(items.c.owner == owner).returning(items)
    rows = sorted(connection.execute(taken), key=lambda row: row.added_at)
    return [CartLine(row.product_id, row.quantity, row.unit_amount) for row in rows]


def adopt_cart(connection: Connection, owner: str) -> None:
    """Keep the cart of a guest who has registered."""
    connection.execute(update(items).where(items.c.owner == owner).values(is_guest=False))


def delete_stale_carts(connection: Connection, *, age: timedelta, limit: int) -> int:
    """Throw guests' carts away that nobody touched for so long; return how many lines there were."""
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
