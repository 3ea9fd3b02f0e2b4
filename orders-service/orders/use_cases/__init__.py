"""The use cases of orders-service, one function each."""
