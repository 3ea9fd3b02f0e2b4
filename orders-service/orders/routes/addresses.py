"""Routes of the address book."""

from uuid import UUID

from apiflask import APIBlueprint

from orders.errors import AddressBookFull
from orders.schemas.addresses import Address, AddressBook, AddressQuery, BookEntryOut
from orders.use_cases import addresses
from shared.context import require_caller
from shared.database import Database
from shared.openapi import document_errors


def address_routes(database: Database) -> APIBlueprint:
    """Return the routes by which a registered user keeps addresses."""
    routes = APIBlueprint("addresses", __name__)

    @routes.get("/addresses")
    @routes.input(AddressQuery, location="query")
    @routes.output(AddressBook)
    def list_addresses(query_data: AddressQuery) -> AddressBook:
        """List the caller's addresses, at most 20, the last saved one first."""
        found = addresses.list_addresses(database, require_caller(), with_orders=query_data.with_orders)
        return AddressBook(data=[BookEntryOut.of(entry) for entry in found])

    @routes.put("/addresses/<uuid:address_id>")
    @routes.input(Address)
    @routes.output(BookEntryOut)
    @routes.doc(responses=document_errors(AddressBookFull))
    def put_address(address_id: UUID, json_data: Address) -> BookEntryOut:
        """Save an address under an id that the caller chooses, such as a new UUID."""
        address = json_data.model_dump()
        return BookEntryOut.of(addresses.put_address(database, require_caller(), address_id, address))

    @routes.delete("/addresses/<uuid:address_id>")
    @routes.output({}, status_code=204)
    def delete_address(address_id: UUID) -> tuple[str, int]:
        """Remove an address; a repeated call changes nothing."""
        addresses.delete_address(database, require_caller(), address_id)
        return "", 204

    return routes
