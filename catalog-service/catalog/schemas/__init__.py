"""The request and response bodies of catalog-service, one module per concern."""
