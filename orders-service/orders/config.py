"""What orders-service is told."""

from shared.settings import CallerSettings, Url


class Settings(CallerSettings):
    """orders-service's settings."""

    catalog_url: Url
    payments_url: Url
