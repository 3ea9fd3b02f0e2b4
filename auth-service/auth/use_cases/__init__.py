"""What auth-service does, a function each."""
