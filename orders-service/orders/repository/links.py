"""Queries for links to orders, and for orders by their email address."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select

from orders.domain import Status
from orders.tables import order_links, orders


def find_order_of(connection: Connection, number: int, email: str) -> tuple[UUID, str] | None:
    """Return the id and the stored address of the order with this number and address."""
    query = select(orders.c.id, orders.c.email).where(
        orders.c.number == number, func.lower(orders.c.email) == func.lower(email)
    )
    row = connection.execute(query).first()
    return (row.id, row.email) if row else None


def insert_link(connection: Connection, token_hash: bytes, order_id: UUID, life: timedelta) -> None:
    """Record a link to an order."""
    values = {"hash": token_hash, "order_id": order_id, "expires_at": func.now() + life}
    connection.execute(insert(order_links).values(values))


def find_linked_order(connection: Connection, token_hash: bytes) -> UUID | None:
    """Return the order of a token that has not expired."""
    query = select(order_links.c.order_id).where(
        order_links.c.hash == token_hash, order_links.c.expires_at > func.now()
    )
    return connection.execute(query).scalar()


def delete_expired_links(connection: Connection, limit: int) -> int:
    """Delete expired links; return how many."""
    expired = select(order_links.c.hash).where(order_links.c.expires_at < func.now()).limit(limit)
    expired = expired.with_for_update(skip_locked=True)
    return connection.execute(delete(order_links).where(order_links.c.hash.in_(expired))).rowcount


def read_orders_with_email(
    connection: Connection, email: str, *, except_customer: str, limit: int
) -> dict[UUID, str]:
    """Return orders of other customers with this address, oldest first, and their customers."""
    query = (
        select(orders.c.id, orders.c.customer)
        .where(
            func.lower(orders.c.email) == func.lower(email),
            orders.c.customer != except_customer,
            # The payment of a pending order is not known yet.
            orders.c.status != Status.PENDING,
        )
        .order_by(orders.c.id)
        .limit(limit)
    )
    return {row.id: row.customer for row in connection.execute(query)}
