"""Every statement that touches payments-service's tables; `book` is the simulated provider's alone."""
