"""Every statement that touches auth-service's tables."""
