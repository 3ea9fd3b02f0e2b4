"""Admins' work on integrators' clients."""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from auth.domain.clients import CLIENT_ID, Client
from auth.repository import clients
from auth.repository.sessions import insert_sign_off
from auth.repository.signing_keys import read_clock
from shared import audit_trail
from shared.context import INTEGRATOR_PREFIX
from shared.database import Connection, Database
from shared.errors import NotFound
from shared.ids import new_id
from shared.setup_secrets import hash_secret

SECRET_PREFIX = "sfc_"  # noqa: S105  # It lets secret scanners recognize a leaked secret.


def list_clients(database: Database, *, limit: int, before: str | None) -> tuple[list[Client], str | None]:
    """Return a page of clients, newest first, and its last id if more follow."""
    with database.transaction() as connection:
        found = clients.read_clients(connection, limit=limit + 1, before=before)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


def find_client(database: Database, client_id: str) -> Client:
    """Return the client; raise NotFound if it does not exist."""
    with database.transaction() as connection:
        client = clients.find_client(connection, client_id) if CLIENT_ID.fullmatch(client_id) else None
    if client is None:
        raise NotFound
    return client


def create_client(
    database: Database, name: str, scopes: Sequence[str], created_by: UUID | None
) -> tuple[Client, str]:
    """Add a client; return it and its secret, of which only the hash is stored."""
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
    audit_trail.record(
        "auth.client.created", "An admin created an integrator's client", target=client.id, new=client.scopes
    )
    return client, secret


def change_client(database: Database, client_id: str, changes: dict[str, Any], token_seconds: int) -> Client:
    """Change a client's name or scopes, or disable or enable it; raise NotFound.

    If the client loses a permission, its tokens are signed off.
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
            audit_trail.record(
                "auth.client.changed",
                f"An admin changed the {name} of an integrator's client",
                target=client_id,
                old=getattr(before, name),
                new=getattr(after, name),
            )
    return after


def replace_secret(database: Database, client_id: str, token_seconds: int) -> tuple[Client, str]:
    """Give a client a new secret and sign off its tokens; raise NotFound."""
    secret = _make_secret()
    with database.transaction() as connection:
        before = _lock(connection, client_id)
        changes = {
            "secret_hash": hash_secret(secret),
            "sid": _sign_tokens_off(connection, before, token_seconds),
        }
        after = clients.update_client(connection, client_id, changes)
    audit_trail.record(
        "auth.client.secret_changed",
        "An admin replaced the secret of an integrator's client",
        target=client_id,
    )
    return after, secret


def delete_client(database: Database, client_id: str, token_seconds: int) -> None:
    """Delete a client and sign off its tokens; raise NotFound."""
    with database.transaction() as connection:
        client = _lock(connection, client_id)
        _sign_tokens_off(connection, client, token_seconds)
        clients.delete_client(connection, client_id)
    audit_trail.record("auth.client.deleted", "An admin deleted an integrator's client", target=client_id)


def _lock(connection: Connection, client_id: str) -> Client:
    client = clients.lock_client(connection, client_id) if CLIENT_ID.fullmatch(client_id) else None
    if client is None:
        raise NotFound
    return client


def _sign_tokens_off(connection: Connection, client: Client, token_seconds: int) -> str:
    """Sign off a client's tokens, and return the `sid` of its new ones."""
    insert_sign_off(connection, client.sid, read_clock(connection) + timedelta(seconds=token_seconds))
    return _make_sid()


def _make_secret() -> str:
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def _make_sid() -> str:
    return secrets.token_urlsafe(16)
