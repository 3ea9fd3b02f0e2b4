"""What orders-service is told."""

from pydantic import SecretStr

from shared.settings import CallerSettings, Url


class Settings(CallerSettings):
    """orders-service's settings; the secret is not optional, since it calls two services."""

    catalog_url: Url
    payments_url: Url
    client_secret: SecretStr
