"""Settings of `make run`, read from the environment once."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.errors import CannotStart

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("auth-service", "catalog-service", "orders-service", "payments-service", "logs-service")
MOST_REPLICAS = 20

# In nginx * ? [ make an include a pattern, and $ " \ work even inside quotes. PYTHONPATH is split at colons.
IMPOSSIBLE_IN_PATHS = re.compile(r'[*?\["$\\:\x00-\x1f\x7f]')


@dataclass(frozen=True)
class Settings:
    """PORT, STATE, SCALE and the rest, checked; `environment` also has the services' own variables."""

    state: Path
    port: int = 8080
    bind: str = "127.0.0.1"
    replicas: Mapping[str, int] = field(default_factory=dict)
    shopfleet_env: str = "development"
    public_url: str = ""
    demo_users: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment; raise CannotStart with the name of a wrong variable."""
        port = _read_port(environment.get("PORT") or "8080")
        state = Path(environment.get("STATE") or ".local").expanduser().absolute()
        for path in (ROOT, state):
            _check_path(path)
        return cls(
            state=state,
            port=port,
            bind=_read_address(environment.get("BIND") or "127.0.0.1"),
            replicas=read_scale(environment.get("SCALE") or ""),
            shopfleet_env=_read_choice(environment, "SHOPFLEET_ENV", ("development", "production")),
            public_url=environment.get("PUBLIC_URL") or f"http://localhost:{port}",
            demo_users=_read_choice(environment, "DEMO_USERS", ("", "yes", "no")),
            environment=dict(environment),
        )

    @property
    def has_demo_users(self) -> bool:
        """Return whether auth-service loads admin/admin: in development on loopback, or on request."""
        if self.demo_users:
            return self.demo_users == "yes"
        return self.shopfleet_env == "development" and ipaddress.ip_address(self.bind).is_loopback


def read_scale(text: str) -> dict[str, int]:
    """Read `orders-service=3,catalog-service=2`; an unnamed service has one replica."""
    replicas = dict.fromkeys(SERVICES, 1)
    for part in re.split(r"[,\s]+", text.strip(", \t\n")):
        name, equals, number = part.partition("=")
        if not part:
            continue
        if name not in SERVICES:
            raise CannotStart(f"SCALE names {name!r}. The services are {', '.join(SERVICES)}.")
        if not equals or not re.fullmatch(r"[0-9]{1,2}", number) or not 1 <= int(number) <= MOST_REPLICAS:
            raise CannotStart(f"SCALE has {part!r}. Write {name}=2, with a number from 1 to {MOST_REPLICAS}.")
        replicas[name] = int(number)
    return replicas


def _read_port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise CannotStart(f"PORT is {text!r}; it must be a number from 1 to 65535.")
    return int(text)


def _read_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise CannotStart(
            f"BIND is {text!r}; it must be an IP address, such as 127.0.0.1 or 0.0.0.0."
        ) from None


def _read_choice(environment: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = environment.get(name) or choices[0]
    if value not in choices:
        raise CannotStart(f"{name} is {value!r}; it must be {' or '.join(filter(None, choices))}.")
    return value


def _check_path(path: Path) -> None:
    found = IMPOSSIBLE_IN_PATHS.search(str(path))
    if found:
        raise CannotStart(
            f"The path {str(path)!r} has the character {found[0]!r}, which nginx or Python cannot handle. "
            "Use another folder."
        )
