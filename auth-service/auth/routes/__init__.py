"""The HTTP routes of auth-service."""
