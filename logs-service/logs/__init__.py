"""logs-service: what happened. It takes log records by OTLP, and finds them again."""
