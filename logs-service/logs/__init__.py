"""logs-service: receives log records over OTLP, stores them, and lets admins search them."""
