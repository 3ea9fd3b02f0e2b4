"""The commands of catalog-service."""
