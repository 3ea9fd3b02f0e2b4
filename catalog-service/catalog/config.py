"""Settings of catalog-service."""

from typing import Literal

from pydantic import Field, SecretStr

from shared.settings import CallerSettings, Url


class Settings(CallerSettings):
    """The settings of catalog-service, read from the environment."""

    # Without an upstream, the shop sells the bundled sample catalogue.
    catalog_upstream_url: Url | None = None
    catalog_upstream_token: SecretStr | None = None
    catalog_sync_seconds: int = Field(default=300, ge=1)
    # Where events of the stock are reported to; without it, webhooks do not learn of them.
    orders_url: Url | None = None
    currency: Literal[
        "AUD", "CAD", "CHF", "CNY", "EUR", "GBP", "INR", "JPY", "KWD", "NZD", "PLN", "SEK", "USD"
    ] = "USD"
