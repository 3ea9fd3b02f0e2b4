"""What other services of ours tell and ask orders-service."""

from collections.abc import Callable
from uuid import UUID

from apiflask import APIBlueprint

from orders.errors import OrderNotFound
from orders.schemas.orders import CustomersIn, KnownCustomers
from orders.use_cases import changes, orders
from shared.database import Database
from shared.openapi import document_errors


def wake_routes(database: Database, wake_resumers: Callable[[], None]) -> APIBlueprint:
    """Return the route by which payments-service says that a payment has changed by itself."""
    routes = APIBlueprint("wake", __name__)

    @routes.post("/internal/orders/<uuid:order_id>/wake")
    @routes.output({}, status_code=204)
    @routes.doc(responses=document_errors(OrderNotFound))
    def wake_order(order_id: UUID) -> str:
        """Look at the order's payment now, and not when it is its turn again."""
        changes.wake_order(database, order_id)
        wake_resumers()
        return ""

    return routes


def customer_routes(database: Database) -> APIBlueprint:
    """Return the route by which auth-service asks which guests it may forget."""
    routes = APIBlueprint("customers", __name__)

    @routes.post("/internal/customers/known")
    @routes.input(CustomersIn)
    @routes.output(KnownCustomers)
    def find_known_customers(json_data: CustomersIn) -> KnownCustomers:
        """Tell which of these customers have a cart, an order, or a call whose answer is kept."""
        return KnownCustomers(known=orders.find_known_customers(database, json_data.customers))

    return routes
