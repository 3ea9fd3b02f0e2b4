"""Settings of orders-service."""

from typing import Literal

from pydantic import Field

from orders.domain import WaitingLimits
from orders.schemas.addresses import Country
from shared.mail import MailSettings
from shared.settings import CallerSettings, Url


class Settings(CallerSettings, MailSettings):
    """The environment variables of orders-service."""

    catalog_url: Url
    payments_url: Url
    # Limits on orders that hold stock while their customers authenticate to the bank.
    rate_limits: Literal["on", "off"] = "on"
    waiting_orders_per_customer: int = Field(default=5, ge=1)
    waiting_units_per_customer: int = Field(default=200, ge=1)
    waiting_orders_per_address: int = Field(default=50, ge=1)
    waiting_units_per_address: int = Field(default=1000, ge=1)
    prices_include_tax: Literal["yes", "no"] = "yes"
    # Whether webhooks may have private addresses, and http in production.
    webhook_private: Literal["yes", "no"] = "no"
    # ISO 3166-1 alpha-2: where a cart is delivered to until its customer names a country.
    shop_country: Country | None = None

    @property
    def waiting_limits(self) -> WaitingLimits | None:
        """Return the limits on orders that wait for payment; None without limits."""
        if self.rate_limits == "off":
            return None
        return WaitingLimits(
            self.waiting_orders_per_customer,
            self.waiting_units_per_customer,
            self.waiting_orders_per_address,
            self.waiting_units_per_address,
        )
