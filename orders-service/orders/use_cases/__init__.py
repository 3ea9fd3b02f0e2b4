"""What orders-service does, a function each; the checkout itself stands in `checkout`."""
