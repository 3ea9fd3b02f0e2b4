"""What catalog-service is told."""

from typing import Literal

from pydantic import Field, SecretStr

from shared.settings import CallerSettings, Url


class Settings(CallerSettings):
    """catalog-service's settings."""

    # Without an upstream the bundled sample catalogue is for sale.
    catalog_upstream_url: Url | None = None
    catalog_upstream_token: SecretStr | None = None
    catalog_sync_seconds: int = Field(default=300, ge=1)
    currency: Literal["AUD", "CAD", "CHF", "CNY", "EUR", "GBP", "INR", "JPY", "NZD", "PLN", "SEK", "USD"] = (
        "USD"
    )
