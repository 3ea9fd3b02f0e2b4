"""Every statement that touches orders-service's tables."""
