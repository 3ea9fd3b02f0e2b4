"""auth-service over HTTP."""
