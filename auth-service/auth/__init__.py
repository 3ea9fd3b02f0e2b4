"""auth-service: who you are. It keeps users and signs the tokens that every service verifies."""
