"""The HTTP routes of payments-service."""
