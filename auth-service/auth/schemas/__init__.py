"""The request and response bodies of auth-service."""
