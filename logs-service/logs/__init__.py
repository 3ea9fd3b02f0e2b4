"""logs-service: what happened."""
