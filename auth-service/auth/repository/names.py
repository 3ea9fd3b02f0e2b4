"""Queries for the skeletons of usernames; each skeleton belongs to one user."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert

from auth.tables import name_skeletons, users


def has_owner(connection: Connection, skeletons: Sequence[bytes]) -> bool:
    """Return whether one of the skeletons belongs to a user."""
    owned = select(name_skeletons.c.user_id).where(name_skeletons.c.skeleton.in_(skeletons)).limit(1)
    return connection.execute(owned).first() is not None


def claim_skeletons(connection: Connection, user_id: UUID, skeletons: Sequence[bytes]) -> bool:
    """Assign sorted skeletons to a user; return False if one of them belongs to another user."""
    return _insert(connection, [(skeleton, user_id) for skeleton in skeletons]) == len(skeletons)


def lock_unclaimed(connection: Connection, limit: int) -> dict[UUID, str]:
    """Return names without skeletons by user, oldest first, and lock the users until the transaction ends."""
    query = (
        select(users.c.id, users.c.username)
        .where(users.c.role != "guest", ~users.c.has_skeletons)
        .order_by(users.c.id)
        .limit(limit)
        .with_for_update(key_share=True)
    )
    return {row.id: row.username for row in connection.execute(query)}


def add_skeletons(connection: Connection, skeletons: Mapping[UUID, Sequence[bytes]]) -> None:
    """Assign skeletons to users; a skeleton that several of them share belongs to the first."""
    owners: dict[bytes, UUID] = {}
    for user_id, owned in skeletons.items():
        for skeleton in owned:
            owners.setdefault(skeleton, user_id)
    # Insert in sorted order, as `claim_skeletons` does, so that transactions do not deadlock.
    _insert(connection, sorted(owners.items()))
    connection.execute(update(users).where(users.c.id.in_(skeletons)).values(has_skeletons=True))


def _insert(connection: Connection, owners: Iterable[tuple[bytes, UUID]]) -> int:
    rows = [{"skeleton": skeleton, "user_id": user_id} for skeleton, user_id in owners]
    statement = insert(name_skeletons).values(rows).on_conflict_do_nothing()
    return len(connection.execute(statement.returning(name_skeletons.c.skeleton)).all())
