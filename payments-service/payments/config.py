"""What payments-service is told."""

from typing import Literal

from pydantic import SecretStr

from shared.settings import CallerSettings, Url, stop_start

ProviderName = Literal["simulated", "stripe"]


class Settings(CallerSettings):
    """payments-service's settings."""

    payment_provider: ProviderName | None = None
    stripe_secret_key: SecretStr | None = None
    # One signing secret, or several with spaces between them while one replaces another.
    stripe_webhook_secret: SecretStr | None = None
    stripe_api_base: Url = "https://api.stripe.com"
    # Without it, orders find out by themselves what became of their payments.
    orders_url: Url | None = None


def choose_provider(settings: Settings) -> ProviderName:
    """Return the provider that is named; development has a default, and production must name one."""
    if settings.payment_provider is None and settings.production:
        stop_start("PAYMENT_PROVIDER is missing; in production the simulated provider has to be asked for.")
    if settings.payment_provider == "stripe" and settings.stripe_secret_key is None:
        stop_start(
            "STRIPE_SECRET_KEY is missing; PAYMENT_PROVIDER=stripe needs it, or STRIPE_SECRET_KEY_FILE."
        )
    return settings.payment_provider or "simulated"
