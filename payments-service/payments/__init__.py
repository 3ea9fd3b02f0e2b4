"""payments-service: the money. It asks a provider, and books every movement twice."""
