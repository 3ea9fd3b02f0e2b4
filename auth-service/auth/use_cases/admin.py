"""Admins' work on users and their sessions; the audit trail records each change."""

from typing import Any
from uuid import UUID

from auth.domain.accounts import Session, User, Visitor
from auth.errors import LastAdmin, NotRegistered
from auth.passwords import Passwords
from auth.repository import directory, sessions, users
from auth.use_cases.accounts import confirm_password
from auth.use_cases.sessions import end_session_of, end_sessions_of
from shared import audit_trail
from shared.context import Caller
from shared.database import Database
from shared.errors import NotFound, ValidationFailed


def list_users(
    database: Database,
    *,
    q: str | None = None,
    role: str | None = None,
    disabled: bool | None = None,
    limit: int,
    before: UUID | None,
) -> tuple[list[User], UUID | None]:
    """Return a page of users, newest first, and its last id if more follow."""
    with database.transaction() as connection:
        found = directory.read_users(
            connection, q=q, role=role, disabled=disabled, limit=limit + 1, before=before
        )
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


def find_user(database: Database, user_id: UUID) -> User:
    """Return the user; raise NotFound if the user does not exist."""
    with database.transaction() as connection:
        return _require(users.find_user(connection, user_id))


def change_user(
    database: Database,
    passwords: Passwords,
    user_id: UUID,
    changes: dict[str, Any],
    password: str | None,
    *,
    caller: Caller,
    visitor: Visitor,
) -> User:
    """Change a user's role, or disable or enable the account; each change ends all of the user's sessions.

    A role needs the caller's own password: a stolen session must not make an admin. Raises ValidationFailed
    without it, WrongPassword, TooManyAttempts, NotFound, LastAdmin, and NotRegistered for a new role of a
    guest.
    """
    if "role" in changes:
        if password is None:
            detail = "is required to change a role"
            raise ValidationFailed([{"location": "json", "field": "current_password", "detail": detail}])
        confirm_password(database, passwords, password, caller=caller, visitor=visitor)
    with database.transaction() as connection:
        # The admins are locked before the user, so that two admins cannot demote each other concurrently.
        admins = directory.lock_admins(connection)
        before = _require(users.lock_user(connection, user_id))
        changes = {name: value for name, value in changes.items() if value != getattr(before, name)}
        if not changes:
            return before
        if before.role == "guest" and "role" in changes:
            raise NotRegistered
        if admins == [user_id]:
            raise LastAdmin
        after = directory.update_user(connection, user_id, changes)
        ended = end_sessions_of(connection, user_id)
    if "role" in changes:
        audit_trail.record(
            "auth.user.role_changed",
            "An admin changed a user's role",
            target=str(user_id),
            old=before.role,
            new=after.role,
            sessions_ended=len(ended),
        )
    if "disabled" in changes:
        audit_trail.record(
            "auth.user.disabled" if after.disabled else "auth.user.enabled",
            "An admin disabled an account" if after.disabled else "An admin enabled an account",
            target=str(user_id),
            old=before.disabled,
            new=after.disabled,
            sessions_ended=len(ended),
        )
    return after


def list_sessions(database: Database, user_id: UUID) -> list[Session]:
    """Return a user's live sessions, newest first; raise NotFound if the user does not exist."""
    with database.transaction() as connection:
        _require(users.find_user(connection, user_id))
        return sessions.read_live_sessions(connection, user_id)


def end_one_session(database: Database, user_id: UUID, session_id: UUID) -> None:
    """Sign a user out on one device; raise NotFound if the user has no such live session."""
    with database.transaction() as connection:
        end_session_of(connection, user_id, session_id)
    _record_end(user_id, [session_id])


def end_all_sessions(database: Database, user_id: UUID) -> None:
    """Sign a user out everywhere; raise NotFound if the user does not exist."""
    with database.transaction() as connection:
        _require(users.lock_user(connection, user_id))
        ended = end_sessions_of(connection, user_id)
    _record_end(user_id, ended)


def _record_end(user_id: UUID, ended: list[UUID]) -> None:
    audit_trail.record(
        "auth.session.ended",
        "An admin signed a user out",
        target=str(user_id),
        sessions=[str(session_id) for session_id in ended],
    )


def _require(user: User | None) -> User:
    if user is None:
        raise NotFound
    return user
