"""payments-service moves money through a payment provider and keeps a double-entry ledger."""
