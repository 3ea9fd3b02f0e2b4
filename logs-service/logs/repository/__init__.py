"""The SQL of logs-service."""
