"""Settings of payments-service."""

from typing import Literal

from pydantic import SecretStr

from shared.settings import CallerSettings, Url, stop_start

ProviderName = Literal["simulated", "stripe"]


class Settings(CallerSettings):
    """The settings, read from the environment."""

    payment_provider: ProviderName | None = None
    stripe_secret_key: SecretStr | None = None
    # One signing secret, or several separated by spaces during a rotation.
    stripe_webhook_secret: SecretStr | None = None
    stripe_api_base: Url = "https://api.stripe.com"
    # Without it, orders-service polls the status of payments.
    orders_url: Url | None = None


def choose_provider(settings: Settings) -> ProviderName:
    """Return the configured provider; only development has a default."""
    if settings.payment_provider is None and settings.production:
        stop_start("PAYMENT_PROVIDER is missing; in production even the simulated provider must be named.")
    if settings.payment_provider == "stripe" and settings.stripe_secret_key is None:
        stop_start(
            "STRIPE_SECRET_KEY is missing; PAYMENT_PROVIDER=stripe requires it, or STRIPE_SECRET_KEY_FILE."
        )
    return settings.payment_provider or "simulated"
