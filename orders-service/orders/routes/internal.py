"""Routes for the other services of the shop."""

from collections.abc import Callable
from uuid import UUID

from apiflask import APIBlueprint

from orders.errors import OrderNotFound
from orders.schemas.orders import CustomersIn, KnownCustomers
from orders.use_cases import changes, orders
from shared.database import Database
from shared.openapi import document_errors


def wake_routes(database: Database, wake_resumers: Callable[[], None]) -> APIBlueprint:
    """Return the route by which payments-service reports that a payment has changed."""
    routes = APIBlueprint("wake", __name__)

    @routes.post("/internal/orders/<uuid:order_id>/wake")
    @routes.output({}, status_code=204)
    @routes.doc(responses=document_errors(OrderNotFound))
    def wake_order(order_id: UUID) -> str:
        """Check the payment of the order now, not at the next poll."""
        changes.wake_order(database, order_id)
        wake_resumers()
        return ""

    return routes


def customer_routes(database: Database) -> APIBlueprint:
    """Return the route by which auth-service finds the guests that it may delete."""
    routes = APIBlueprint("customers", __name__)

    @routes.post("/internal/customers/known")
    @routes.input(CustomersIn)
    @routes.output(KnownCustomers)
    def find_known_customers(json_data: CustomersIn) -> KnownCustomers:
        """Return the customers that have a cart, an order or a stored answer."""
        return KnownCustomers(known=orders.find_known_customers(database, json_data.customers))

    return routes
