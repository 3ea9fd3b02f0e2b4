"""The SQL of payments-service. Only the simulated provider uses `charge_records`."""
