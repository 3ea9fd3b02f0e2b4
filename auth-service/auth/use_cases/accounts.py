"""People coming in, and their accounts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from auth import audit
from auth.domain import (
    GUESSABLE,
    SignIn,
    User,
    Visitor,
    derive_skeletons,
    find_weakness,
    list_own_words,
    normalize_name,
    parse_id,
)
from auth.errors import AlreadyRegistered, UsernameTaken, WeakPassword, WrongCredentials, WrongPassword
from auth.issuer import TokenIssuer
from auth.passwords import Passwords, Rank
from auth.repository import names, throttle, users
from auth.use_cases.attempts import count_attempt, judging, record_refusal
from auth.use_cases.names import claim_older_names
from auth.use_cases.sessions import begin_guest_session, begin_session, end_sessions_of, find_session, sign_in
from shared.context import Caller
from shared.database import Connection, Database
from shared.errors import NotFound


@dataclass(frozen=True)
class Presented:
    """What somebody who comes in had with them from before: a token that is good, or a refresh token."""

    caller: Caller | None = None
    refresh_token: str | None = field(default=None, repr=False)


def log_in(
    database: Database,
    passwords: Passwords,
    issuer: TokenIssuer,
    username: str,
    password: str,
    *,
    visitor: Visitor,
    presented: Presented,
) -> SignIn:
    """Begin a session for the right pair; take over from the guest that the caller was until now.

    Raises WrongCredentials for any other pair, in the same time, and TooManyAttempts.
    """
    passwords.require_room(Rank.KNOWN, visitor.place)
    with database.autocommit() as connection:
        user = users.find_user_by_name(connection, normalize_name(username))
        if user is None:
            passwords.require_room(Rank.UNKNOWN, visitor.place)
        attempt = count_attempt(connection, username, user, visitor)
    # The hash is checked outside of that block: a connection is not held while a processor works.
    with judging(database, attempt):
        checked = passwords.check(user.password_hash if user else None, password, place=visitor.place)
    if not checked.is_right or user is None or user.disabled:
        record_refusal("wrong credentials" if not checked.is_right else "account disabled", user, visitor)
        raise WrongCredentials
    with database.transaction() as connection:
        guest = _find_presenter(connection, presented)
        guest_sub = None
        if guest is not None and guest.role == "guest":
            guest_sub = str(guest.id)
            end_sessions_of(connection, guest.id)
        begun = begin_session(connection, user, visitor, token_seconds=issuer.seconds, guest_sub=guest_sub)
        # The account is held first, as where a password is changed, so that the two wait in line.
        attempt.succeed(connection, user)
    if checked.fresh_hash:
        with database.transaction() as connection:
            users.renew_hash(connection, user, checked.fresh_hash)
    audit.record(
        "auth.login.succeeded",
        "Somebody logged in",
        actor=str(user.id),
        target=str(begun.id),
        address=visitor.address,
    )
    return sign_in(issuer, begun)


def enter_as_guest(database: Database, issuer: TokenIssuer, visitor: Visitor) -> SignIn:
    """Begin a session for somebody new who gives no name."""
    with database.autocommit() as connection:
        begun = begin_guest_session(connection, visitor, token_seconds=issuer.seconds)
    return sign_in(issuer, begun)


def register(
    database: Database,
    passwords: Passwords,
    issuer: TokenIssuer,
    username: str,
    password: str,
    email: str | None,
    *,
    visitor: Visitor,
    presented: Presented,
) -> SignIn:
    """Make a customer and begin their session; a guest becomes that customer, so that cart and orders stay.

    Raises WeakPassword, UsernameTaken, and AlreadyRegistered if whoever calls is no guest.
    """
    _refuse_weak("password", password, username, email)
    passwords.require_room(Rank.NEW, visitor.place)
    claim_older_names(database)
    with database.transaction() as connection:
        presenter = _find_presenter(connection, presented)
        if presenter is not None and presenter.role != "guest":
            raise AlreadyRegistered
        # What is clear already costs no hash; the indexes decide between two at once.
        if names.has_owner(connection, derive_skeletons(username)):
            raise UsernameTaken
    choose = partial(passwords.choose, rank=Rank.NEW, place=visitor.place)
    password_hash = _choose_hash(choose, "password", password, username, email)
    with database.transaction() as connection:
        if presenter is None:
            user = users.insert_user(connection, username, "customer", password_hash, email)
        else:
            promoted = users.promote_guest(connection, presenter.id, username, password_hash, email)
            if promoted is None:
                raise AlreadyRegistered
            user = promoted
            end_sessions_of(connection, user.id)
        throttle.remember_place(connection, user.id, visitor.place_hash)
        begun = begin_session(connection, user, visitor, token_seconds=issuer.seconds)
    audit.record(
        "auth.user.registered",
        "Somebody registered",
        actor=str(user.id),
        target=str(user.id),
        old=presenter.role if presenter else None,
        new=user.role,
        address=visitor.address,
    )
    return sign_in(issuer, begun)


def change_password(
    database: Database,
    passwords: Passwords,
    issuer: TokenIssuer,
    current: str,
    new: str,
    *,
    caller: Caller,
    visitor: Visitor,
) -> SignIn:
    """Give the caller another password, end all sessions and begin a new one.

    Raises WeakPassword, WrongPassword, and TooManyAttempts: it could be guessed here as at a log-in.
    """
    user = find_account(database, caller)
    _refuse_weak("new_password", new, user.username, user.email)
    passwords.require_room(Rank.KNOWN, visitor.place)
    with database.autocommit() as connection:
        attempt = count_attempt(connection, user.username, user, visitor)
    with judging(database, attempt):
        is_right = passwords.matches(user.password_hash, current, place=visitor.place)
        if is_right:
            choose = partial(passwords.choose, rank=Rank.KNOWN, place=visitor.place)
            password_hash = _choose_hash(choose, "new_password", new, user.username, user.email)
    if not is_right:
        record_refusal("wrong current password", user, visitor)
        raise WrongPassword
    with database.transaction() as connection:
        found = users.lock_user(connection, user.id)
        if found is None or found.password_changed_at != user.password_changed_at:
            raise WrongPassword
        changed = users.change_password(connection, user.id, password_hash)
        attempt.succeed(connection, changed)
        end_sessions_of(connection, user.id)
        begun = begin_session(
            connection, changed, visitor, token_seconds=issuer.seconds, guest_sub=caller.guest_sub
        )
    audit.record(
        "auth.password.changed",
        "Somebody changed their password",
        target=str(user.id),
        address=visitor.address,
    )
    return sign_in(issuer, begun)


def create_admin(database: Database, passwords: Passwords, username: str, password: str) -> User:
    """Add an admin; raise WeakPassword or UsernameTaken."""
    _refuse_weak("password", password, username)
    password_hash = _choose_hash(passwords.choose, "password", password, username)
    claim_older_names(database)
    with database.transaction() as connection:
        user = users.insert_user(connection, username, "admin", password_hash)
    audit.record("auth.user.admin_created", "An admin was made by command", target=str(user.id), new="admin")
    return user


def find_account(database: Database, caller: Caller) -> User:
    """Return the caller's account; raise NotFound if it is gone."""
    with database.autocommit() as connection:
        user = _find_by_sub(connection, caller.sub)
    if user is None:
        raise NotFound
    return user


def _find_presenter(connection: Connection, presented: Presented) -> User | None:
    if presented.caller:
        return _find_by_sub(connection, presented.caller.sub)
    session = find_session(connection, presented.refresh_token) if presented.refresh_token else None
    return users.find_user(connection, session.user_id) if session else None


def _find_by_sub(connection: Connection, sub: str) -> User | None:
    user_id = parse_id(sub)
    return users.find_user(connection, user_id) if user_id else None


def _choose_hash(
    choose: Callable[[str, list[str]], str | None], field: str, password: str, *names: str | None
) -> str:
    """Return the hash of a new password; raise WeakPassword if few guesses would find it."""
    chosen = choose(password, list_own_words(*names))
    if chosen is None:
        raise WeakPassword(field, GUESSABLE)
    return chosen


def _refuse_weak(field: str, password: str, *names: str | None) -> None:
    weakness = find_weakness(password, *names)
    if weakness:
        raise WeakPassword(field, weakness)
