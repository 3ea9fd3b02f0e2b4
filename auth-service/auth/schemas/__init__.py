"""Requests and responses of auth-service."""
