"""orders-service: what was bought."""
