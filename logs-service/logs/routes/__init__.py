"""logs-service over HTTP."""
