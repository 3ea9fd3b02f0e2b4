"""The settings of auth-service."""

import ipaddress
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, HttpUrl, SecretStr, TypeAdapter

from shared.mail import MailSettings
from shared.settings import ServiceSettings, Url, stop_start

# The tutorial's users, next to the package.
USERS_FILE = Path(__file__).parent.parent / "users.json"


class DemoUser(BaseModel):
    """An entry of `users.json`."""

    password: str
    role: Literal["customer", "admin"]


class Settings(ServiceSettings, MailSettings):
    """The environment variables of auth-service."""

    # The address that the gateway listens on. Demo users are loaded by default only on a loopback address.
    bind: str = "127.0.0.1"
    demo_users: Literal["yes", "no"] | None = None
    # The password of the first admin if there are no demo users. If unset, one is generated and printed once.
    admin_password: SecretStr | None = None
    service_clients: str = Field(default="{}", description="JSON: SHA-256 of each service's secret.")
    token_seconds: int = Field(default=15 * 60, ge=60, le=3600)
    # Other origins whose pages may call the shop, separated by commas or spaces; the gateway reads them, too.
    cors_origins: str = ""
    # Whether the tokens of staff have the role of a customer until two-factor authentication is on.
    require_staff_totp: Literal["yes", "no"] = "no"
    # If unset, guests without orders are kept as long as guests with orders.
    orders_url: Url | None = None

    @property
    def origins(self) -> frozenset[str]:
        """Return the other origins whose pages may call the shop."""
        return frozenset(self.cors_origins.replace(",", " ").split())

    @property
    def host(self) -> str:
        """Return the host of the shop's address, under which authenticator apps list its accounts."""
        return HttpUrl(self.public_url).host or ""

    @property
    def loads_demo_users(self) -> bool:
        """Return whether to load `users.json`: if requested, or in development on a loopback address."""
        if self.demo_users is not None:
            return self.demo_users == "yes"
        return not self.production and is_loopback(self.bind)


def is_loopback(address: str) -> bool:
    """Return whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"


def read_service_clients(settings: Settings) -> dict[str, str]:
    """Return the hash of each client's secret, by client id."""
    try:
        return TypeAdapter(dict[str, str]).validate_python(json.loads(settings.service_clients))
    except ValueError:
        stop_start("SERVICE_CLIENTS is malformed: it must be a JSON object of hashes by client id.")


def read_demo_users() -> dict[str, DemoUser]:
    """Return the users of `users.json` by name."""
    return TypeAdapter(dict[str, DemoUser]).validate_json(USERS_FILE.read_text(encoding="utf-8"))
