"""Users, guests and their sessions."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from shared.client_address import find_network

AccountRole = Literal["customer", "clerk", "editor", "admin"]  # Of a user who has a password.
IDLE_LIFE = timedelta(days=7)  # How long an unused refresh token is valid.
WHOLE_LIFE = timedelta(days=30)  # The longest life of a session, however often it is used.
GRACE = timedelta(seconds=10)  # How long a client may repeat a refresh whose response was lost.
PLACE_LIFE = timedelta(days=90)  # How long a place stays known after a log-in.
GUEST_LIFE = timedelta(days=90)  # When a guest is deleted, long after the guest's last session expired.
GUEST_IDLE = timedelta(days=1)  # When a guest without a cart and without orders is deleted.

# The roles that need two-factor authentication with REQUIRE_STAFF_TOTP. Until a user with one of them has
# turned it on, the user's tokens have a lower role, which is enough to turn it on.
STAFF = frozenset({"clerk", "editor", "admin"})
ROLE_WITHOUT_TOTP = "customer"


@dataclass(frozen=True)
class User:
    """An account. A guest has no password, so a log-in to a guest's account is impossible."""

    id: UUID
    username: str
    email: str | None
    role: str
    password_hash: str | None = field(repr=False)
    disabled: bool
    created_at: datetime
    password_changed_at: datetime | None = None
    # None if the address was never verified.
    email_verified_at: datetime | None = None
    totp_confirmed_at: datetime | None = None

    @property
    def email_verified(self) -> bool:
        """Return whether the user has verified the address."""
        return self.email_verified_at is not None

    def has_verified(self, email: str) -> bool:
        """Return whether this is the verified address of the user; case does not matter."""
        return self.email_verified and self.email is not None and self.email.lower() == email.lower()

    def with_email(self, email: str) -> "User":
        """Return the user with another address."""
        return replace(self, email=email)

    @property
    def has_totp(self) -> bool:
        """Return whether log-ins need a code."""
        return self.totp_confirmed_at is not None


@dataclass(frozen=True)
class Visitor:
    """Where a request comes from, as far as the gateway knows."""

    address: str
    user_agent: str | None = None

    @property
    def place(self) -> str:
        """Return the part that is stable between visits: the IPv4 address, or the IPv6 network (64 bits)."""
        return find_network(self.address)

    @property
    def place_hash(self) -> bytes:
        """Return the hash of the place, which is the only part that is stored."""
        return hashlib.sha256(self.place.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True)
class Session:
    """A log-in on one device and its refreshes; the id is the `sid` of its tokens."""

    id: UUID
    user_id: UUID
    guest_sub: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    tokens_until: datetime
    ended_at: datetime | None
    address: str | None
    user_agent: str | None


@dataclass(frozen=True)
class AccessToken:
    """A signed token and its life in seconds."""

    access_token: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True)
class SignIn(AccessToken):
    """The access token and the refresh token of a signed-in user."""

    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    # True: the user must turn on two-factor authentication before the tokens get the user's role.
    totp_required: Literal[True] | None = None


def parse_id(text: str) -> UUID | None:
    """Return the id that the text contains; None if it is not a UUID."""
    try:
        return UUID(text)
    except ValueError:
        return None
