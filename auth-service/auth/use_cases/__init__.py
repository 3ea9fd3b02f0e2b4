"""The use cases of auth-service, one function each."""
