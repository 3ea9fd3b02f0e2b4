"""All SQL on the tables of orders-service."""
