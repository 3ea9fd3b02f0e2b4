"""catalog-service: what is for sale. It copies a product source, and serves the copy."""
