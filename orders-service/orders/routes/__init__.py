"""The HTTP routes of orders-service."""

from orders.routes.addresses import address_routes
from orders.routes.carts import cart_routes
from orders.routes.coupons import coupon_routes
from orders.routes.fulfilment import fulfilment_routes, refund_routes
from orders.routes.internal import customer_routes, wake_routes
from orders.routes.lookups import claim_routes, lookup_routes
from orders.routes.mails import order_mail_routes
from orders.routes.orders import order_routes, reading_routes
from orders.routes.quotes import quote_routes
from orders.routes.rules import rule_routes
from orders.routes.webhooks import event_routes, webhook_routes

__all__ = [
    "address_routes",
    "cart_routes",
    "claim_routes",
    "coupon_routes",
    "customer_routes",
    "event_routes",
    "fulfilment_routes",
    "lookup_routes",
    "order_mail_routes",
    "order_routes",
    "quote_routes",
    "reading_routes",
    "refund_routes",
    "rule_routes",
    "wake_routes",
    "webhook_routes",
]
