"""auth-service: it stores users and signs the tokens that every service verifies."""
