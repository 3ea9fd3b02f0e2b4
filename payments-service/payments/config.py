"""What payments-service is told."""

from typing import Literal

from shared.settings import CallerSettings, stop_start

ProviderName = Literal["simulated"]


class Settings(CallerSettings):
    """payments-service's settings."""

    payment_provider: ProviderName | None = None


def choose_provider(settings: Settings) -> ProviderName:
    """Return the provider that is named; development has a default, and production must name one."""
    if settings.payment_provider is None and settings.production:
        stop_start("PAYMENT_PROVIDER is missing; in production the simulated provider has to be asked for.")
    return settings.payment_provider or "simulated"
