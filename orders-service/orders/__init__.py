"""orders-service: what was bought. It keeps carts, and takes an order through its checkout to the end."""
