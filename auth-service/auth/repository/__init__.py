"""The SQL statements of auth-service."""
