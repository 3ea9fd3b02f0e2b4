"""What orders-service takes and gives."""
