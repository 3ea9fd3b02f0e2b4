"""What logs-service does, a function each."""
