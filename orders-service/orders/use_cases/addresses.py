"""Use cases of the address book."""

from uuid import UUID

from orders.domain import MOST_ADDRESSES, Address, BookEntry
from orders.errors import AddressBookFull
from orders.repository import addresses
from shared.context import Caller
from shared.database import Database

LAST_ORDERS = 20


def list_addresses(database: Database, caller: Caller, *, with_orders: bool) -> list[BookEntry]:
    """Return the caller's address book, and with `with_orders` what the last orders have beyond it."""
    with database.transaction() as connection:
        book = addresses.read_addresses(connection, caller.sub)
        if not with_orders:
            return book
        last = addresses.read_last_addresses(connection, caller.subjects, orders=LAST_ORDERS)
    known = [_simplify(entry.address) for entry in book]
    for address in last:
        if _simplify(address) not in known:
            known.append(_simplify(address))
            book.append(BookEntry(None, address))
    return book


def put_address(database: Database, caller: Caller, address_id: UUID, address: Address) -> BookEntry:
    """Save an address in the caller's book; raise AddressBookFull."""
    entry = BookEntry(address_id, address)
    with database.transaction() as connection:
        addresses.lock_book(connection, caller.sub)
        others = {each.id for each in addresses.read_addresses(connection, caller.sub)} - {address_id}
        if len(others) >= MOST_ADDRESSES:
            raise AddressBookFull
        addresses.put_address(connection, caller.sub, entry)
    return entry


def delete_address(database: Database, caller: Caller, address_id: UUID) -> None:
    """Remove an address from the caller's book, if it is there."""
    with database.autocommit() as connection:
        addresses.delete_address(connection, caller.sub, address_id)


def _simplify(address: Address) -> Address:
    """Return the address without its empty fields, which an order of an earlier release may not have."""
    return {name: value for name, value in address.items() if value is not None}
