"""The rules of auth-service as plain Python."""
