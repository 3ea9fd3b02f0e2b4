"""Integrators' clients and their scopes."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Scope(StrEnum):
    """A permission that an admin can give to an integrator's client."""

    LOGS_WRITE = "logs:write"
    LOGS_READ = "logs:read"
    PRODUCTS_READ = "products:read"
    PRODUCTS_WRITE = "products:write"
    ORDERS_READ = "orders:read"
    ORDERS_FULFIL = "orders:fulfil"
    TOKENS_INTROSPECT = "tokens:introspect"


CLIENT_ID = re.compile(r"app-[0-9a-f-]{36}")


@dataclass(frozen=True)
class Client:
    """An integrator's program with its own credentials and scopes (an OAuth 2.0 confidential client).

    Each of its tokens contains `sid`. A new `sid` revokes the tokens that were issued before.
    """

    id: str
    name: str
    secret_hash: str = field(repr=False)
    scopes: list[str]
    sid: str
    disabled: bool
    created_at: datetime
    created_by: UUID | None
