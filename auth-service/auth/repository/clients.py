"""Queries for integrators' clients."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, select, update

from auth.domain.clients import Client
from auth.tables import oauth_clients


def find_client(connection: Connection, client_id: str) -> Client | None:
    """Return the client with this id."""
    return _client(connection.execute(select(oauth_clients).where(oauth_clients.c.id == client_id)).first())


def lock_client(connection: Connection, client_id: str) -> Client | None:
    """Return the client with this id, and lock it until the transaction ends."""
    query = select(oauth_clients).where(oauth_clients.c.id == client_id).with_for_update()
    return _client(connection.execute(query).first())


def read_clients(connection: Connection, *, limit: int, before: str | None) -> list[Client]:
    """Return clients, newest first; `before` is the last id of the previous page."""
    query = select(oauth_clients).order_by(oauth_clients.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(oauth_clients.c.id < before)
    return [Client(**row._mapping) for row in connection.execute(query)]


def insert_client(
    connection: Connection,
    client_id: str,
    *,
    name: str,
    scopes: Sequence[str],
    secret_hash: str,
    sid: str,
    created_by: UUID | None,
) -> Client:
    """Add a client and return it."""
    values = {
        "id": client_id,
        "name": name,
        "scopes": list(scopes),
        "secret_hash": secret_hash,
        "sid": sid,
        "created_by": created_by,
    }
    row = connection.execute(insert(oauth_clients).values(values).returning(oauth_clients)).one()
    return Client(**row._mapping)


def update_client(connection: Connection, client_id: str, changes: dict[str, Any]) -> Client:
    """Change a client and return the changed client."""
    statement = update(oauth_clients).where(oauth_clients.c.id == client_id).values(changes)
    return Client(**connection.execute(statement.returning(oauth_clients)).one()._mapping)


def delete_client(connection: Connection, client_id: str) -> None:
    """Delete a client."""
    connection.execute(delete(oauth_clients).where(oauth_clients.c.id == client_id))


def _client(row: Row[tuple[object, ...]] | None) -> Client | None:
    return Client(**row._mapping) if row else None
