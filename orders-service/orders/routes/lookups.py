"""Routes by which customers find orders that they placed as guests."""

from apiflask import APIBlueprint

from orders.clients import AccountsClient, PaymentsClient
from orders.errors import LinkInvalid
from orders.schemas.lookups import Claimed, LookupIn, LookupOut, OpenLinkIn
from orders.schemas.orders import OrderOut, OrderPage
from orders.use_cases import lookups
from shared.context import require_caller
from shared.database import Database
from shared.openapi import document_errors


def lookup_routes(database: Database) -> APIBlueprint:
    """Return the routes that mail a link to an order and open it; they need no session."""
    routes = APIBlueprint("lookups", __name__)

    @routes.post("/orders/lookup")
    @routes.input(LookupIn)
    @routes.output(LookupOut, status_code=202)
    def request_lookup(json_data: LookupIn) -> LookupOut:
        """Mail a link to an order to its address; the answer is the same if there is no such order."""
        lookups.request_lookup(database, json_data.number, json_data.email)
        return LookupOut(email=json_data.email)

    @routes.post("/orders/lookup/open")
    @routes.input(OpenLinkIn)
    @routes.output(OrderOut)
    @routes.doc(responses=document_errors(LinkInvalid))
    def open_link(json_data: OpenLinkIn) -> OrderOut:
        """Show the order of a mailed link, which works for seven days."""
        return OrderOut.of(lookups.open_link(database, json_data.token))

    return routes


def claim_routes(database: Database, accounts: AccountsClient, payments: PaymentsClient) -> APIBlueprint:
    """Return the routes that add a guest's orders to the account that has verified their address."""
    routes = APIBlueprint("claims", __name__)

    @routes.get("/orders/claimable")
    @routes.output(OrderPage)
    def list_claimable() -> OrderPage:
        """List the orders of guests with the caller's verified address, oldest first, 100 at most."""
        found = lookups.list_claimable(database, accounts, require_caller())
        return OrderPage(data=[OrderOut.of(order) for order in found], next=None)

    @routes.post("/orders/claim")
    @routes.output(Claimed)
    def claim_orders() -> Claimed:
        """Add those orders to the caller's account. A repeated call changes nothing."""
        return Claimed(claimed=lookups.claim_orders(database, accounts, payments, require_caller()))

    return routes
