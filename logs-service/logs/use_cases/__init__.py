"""The use cases of logs-service, one function each."""
