"""orders-service: carts, orders and the checkout."""
