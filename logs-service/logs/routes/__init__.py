"""The HTTP routes of logs-service."""
