"""payments-service over HTTP."""
