"""What logs-service is told."""

from shared.settings import CallerSettings


class Settings(CallerSettings):
    """logs-service's settings."""
