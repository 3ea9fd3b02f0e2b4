"""The use cases of catalog-service: one function each, one module per concern."""
