"""Webhooks: programs of others that learn of events.

Messages are signed as Standard Webhooks specifies (https://www.standardwebhooks.com): HMAC-SHA256 of
`id.timestamp.body`.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

CHANNEL = "webhook"
PING = "ping"
DISABLED = "webhook_disabled"  # The kind of the mail to the shop's owner.
ORDER_EVENTS = ("confirmed", "paid", "shipped", "delivered", "refunded", "cancelled")
STOCK_EVENTS = ("low",)
TYPES = (
    *(f"order.{name}" for name in ORDER_EVENTS),
    *(f"stock.{name}" for name in STOCK_EVENTS),
    PING,
)
EVERY = "*"
PATTERNS = ("order.*", "stock.*", EVERY)
VERSION = 1  # Of the body. A change that a receiver could notice, other than a new member, raises it.

MOST_WEBHOOKS = 20
OLD_SECRET_KEPT = timedelta(hours=24)
SECRET_PREFIX = "whsec_"  # noqa: S105  # It marks a secret.
SECRET_BYTES = 32  # Standard Webhooks allows 24 to 64.


@dataclass(frozen=True)
class Webhook:
    """A webhook and the state of its endpoint; `error` is that of the last attempt, if it failed."""

    id: UUID
    url: str
    events: Sequence[str]
    description: str | None
    active: bool
    failing_since: datetime | None
    error: str | None
    waiting: int
    dead: int
    old_secret_until: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Receiver:
    """Where the messages of a webhook go, and the secrets that sign them."""

    url: str
    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True)
class ForeignEvent:
    """An event of another service, with the resource as it was."""

    id: UUID
    type: str
    time: datetime
    subject: str
    data: Mapping[str, object]


def list_patterns(type_: str) -> list[str]:
    """Return the type of an event and the patterns that it matches."""
    return [type_, f"{type_.partition('.')[0]}.*", EVERY]


def make_secret() -> str:
    """Return a new secret."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(keys: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of webhook-signature: a signature with each of the secrets."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(_read_secret(key), content, hashlib.sha256)).decode()
        for key in keys
    )


def derive_id(event: UUID, webhook: UUID) -> UUID:
    """Return the id of the message that tells a webhook of an event: the same one whenever it is asked for.

    It is a UUIDv7 of the event's time, so that messages sort as their events do.
    """
    digest = int.from_bytes(hashlib.sha256(event.bytes + webhook.bytes).digest()[:8], "big")
    variant = 0b10 << 62
    return UUID(int=(event.int >> 64 << 64) | variant | (digest & 0x3FFFFFFFFFFFFFFF))


def _read_secret(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))
