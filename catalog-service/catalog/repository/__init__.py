"""All SQL of catalog-service, one module per concern."""
