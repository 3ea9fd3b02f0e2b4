"""catalog-service: the products for sale. It copies a product source and serves the copy."""
