"""Integrators' clients: made, changed and removed by admins."""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from auth import audit
from auth.domain import CLIENT_ID, Client
from auth.repository import clients
from auth.repository.keys import read_clock
from auth.use_cases.sessions import sign_off
from shared.context import INTEGRATOR_PREFIX
from shared.database import Connection, Database
from shared.errors import NotFound
from shared.ids import new_id
from shared.setup_secrets import hash_secret

SECRET_PREFIX = "sfc_"  # noqa: S105  # So that a secret that lies around somewhere is known for what it is.


def list_clients(database: Database, *, limit: int, before: str | None) -> tuple[list[Client], str | None]:
    """Return a page of clients, newest first, and the id that the next page begins after."""
    with database.transaction() as connection:
        found = clients.read_clients(connection, limit=limit + 1, before=before)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


def find_client(database: Database, client_id: str) -> Client:
    """Return the client; raise NotFound if there is none."""
    with database.transaction() as connection:
        client = clients.find_client(connection, client_id) if CLIENT_ID.fullmatch(client_id) else None
    if client is None:
        raise NotFound
    return client


def create_client(
    database: Database, name: str, scopes: Sequence[str], created_by: UUID | None
) -> tuple[Client, str]:
    """Add a client; return it and its secret, of which only the hash is kept."""
    secret = _make_secret()
    with database.transaction() as connection:
        client = clients.insert_client(
            connection,
            f"{INTEGRATOR_PREFIX}{new_id()}",
            name=name,
            scopes=sorted(scopes),
            secret_hash=hash_secret(secret),
            sid=_make_sid(),
            created_by=created_by,
        )
    audit.record(
        "auth.client.created", "An admin made an integrator's client", target=client.id, new=client.scopes
    )
    return client, secret


def change_client(database: Database, client_id: str, changes: dict[str, Any], token_seconds: int) -> Client:
    """Give a client another name or other scopes, or open or close it.

    What it may not do any more ends at once: its tokens are signed off. Raises NotFound.
    """
    with database.transaction() as connection:
        before = _lock(connection, client_id)
        changes = {name: value for name, value in changes.items() if value != getattr(before, name)}
        if not changes:
            return before
        if changes.get("disabled") or not set(changes.get("scopes", before.scopes)).issuperset(before.scopes):
            changes["sid"] = _sign_tokens_off(connection, before, token_seconds)
        after = clients.update_client(connection, client_id, changes)
    for name in ("name", "scopes", "disabled"):
        if name in changes:
            audit.record(
                "auth.client.changed",
                f"An admin changed the {name} of an integrator's client",
                target=client_id,
                old=getattr(before, name),
                new=getattr(after, name),
            )
    return after


def replace_secret(database: Database, client_id: str, token_seconds: int) -> tuple[Client, str]:
    """Give a client another secret, and end what it had by the old one; raise NotFound."""
    secret = _make_secret()
    with database.transaction() as connection:
        before = _lock(connection, client_id)
        changes = {
            "secret_hash": hash_secret(secret),
            "sid": _sign_tokens_off(connection, before, token_seconds),
        }
        after = clients.update_client(connection, client_id, changes)
    audit.record("auth.client.secret_changed", "An admin had another secret made", target=client_id)
    return after, secret


def delete_client(database: Database, client_id: str, token_seconds: int) -> None:
    """Remove a client and end its tokens; raise NotFound."""
    with database.transaction() as connection:
        client = _lock(connection, client_id)
        _sign_tokens_off(connection, client, token_seconds)
        clients.delete_client(connection, client_id)
    audit.record("auth.client.deleted", "An admin removed an integrator's client", target=client_id)


def _lock(connection: Connection, client_id: str) -> Client:
    client = clients.lock_client(connection, client_id) if CLIENT_ID.fullmatch(client_id) else None
    if client is None:
        raise NotFound
    return client


def _sign_tokens_off(connection: Connection, client: Client, token_seconds: int) -> str:
    """End the tokens that a client has, and return the `sid` of those that it will get."""
    sign_off(connection, client.sid, read_clock(connection) + timedelta(seconds=token_seconds))
    return _make_sid()


def _make_secret() -> str:
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def _make_sid() -> str:
    return secrets.token_urlsafe(16)
