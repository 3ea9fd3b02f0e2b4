"""Every statement that touches logs-service's tables."""
