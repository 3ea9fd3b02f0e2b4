"""payments-service: the money."""
