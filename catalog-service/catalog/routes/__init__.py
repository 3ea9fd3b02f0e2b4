"""The HTTP routes of catalog-service, one module per kind of caller."""
