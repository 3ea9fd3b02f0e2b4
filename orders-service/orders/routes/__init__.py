"""orders-service over HTTP."""

from orders.routes.carts import cart_routes
from orders.routes.fulfilment import fulfilment_routes, internal_routes
from orders.routes.orders import order_routes

__all__ = ["cart_routes", "fulfilment_routes", "internal_routes", "order_routes"]
