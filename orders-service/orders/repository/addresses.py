"""Address books, and the addresses of a customer's last orders."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from orders.domain import Address, BookEntry
from orders.tables import addresses

READ = select(addresses.c.id, addresses.c.address).order_by(addresses.c.saved_at.desc(), addresses.c.id)
# Of the last orders, the latest first; each order has one or two.
READ_LAST = text("""
    WITH latest AS (
        SELECT shipping_address, billing_address, id FROM orders
        WHERE customer = ANY (CAST(:customers AS text[])) ORDER BY id DESC LIMIT :orders
    )
    SELECT address
    FROM latest, LATERAL (VALUES (shipping_address, 1), (billing_address, 2)) AS own (address, place)
    WHERE address IS NOT NULL ORDER BY id DESC, place
""")


def read_addresses(connection: Connection, customer: str) -> list[BookEntry]:
    """Return a customer's address book, the last saved address first."""
    rows = connection.execute(READ.where(addresses.c.customer == customer))
    return [BookEntry(row.id, row.address) for row in rows]


def read_last_addresses(connection: Connection, customers: Sequence[str], *, orders: int) -> list[Address]:
    """Return the addresses of a customer's last orders, the latest first."""
    return list(connection.execute(READ_LAST, {"customers": list(customers), "orders": orders}).scalars())


def lock_book(connection: Connection, customer: str) -> None:
    """Serialize additions to an address book until the transaction ends, so that they can be counted."""
    connection.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"addresses of {customer}", 0)))
    )


def put_address(connection: Connection, customer: str, entry: BookEntry) -> None:
    """Save an address under its id, in place of any other."""
    row = {"customer": customer, "id": entry.id, "address": dict(entry.address)}
    saved = insert(addresses).values(row)
    replaced = {"address": saved.excluded.address, "saved_at": func.now()}
    connection.execute(saved.on_conflict_do_update(index_elements=["customer", "id"], set_=replaced))


def delete_address(connection: Connection, customer: str, address_id: UUID) -> None:
    """Remove an address, if it is in the book."""
    is_wanted = (addresses.c.customer == customer, addresses.c.id == address_id)
    connection.execute(delete(addresses).where(*is_wanted))
