"""Log-in, registration and password changes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from auth import account_mails
from auth.domain.accounts import SignIn, User, Visitor, parse_id
from auth.domain.credentials import GUESSABLE, derive_skeletons, find_weakness, list_own_words, normalize_name
from auth.errors import AlreadyRegistered, UsernameTaken, WeakPassword, WrongCredentials, WrongPassword
from auth.issuer import TokenIssuer
from auth.passwords import Passwords, Rank
from auth.repository import names, throttle, totp, users
from auth.use_cases.attempts import count_attempt, judging, prove_password, record_refusal
from auth.use_cases.codes import require_code
from auth.use_cases.names import claim_older_names
from auth.use_cases.sessions import (
    end_sessions_of,
    find_session,
    insert_guest_session,
    sign_in,
    start_session,
)
from shared import audit_trail
from shared.context import Caller
from shared.database import Connection, Database
from shared.errors import NotFound


@dataclass(frozen=True)
class Presented:
    """The tokens that a caller presents at a log-in or a registration: a verified one, or a refresh token."""

    caller: Caller | None = None
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class OwnAccount:
    """A user's own account; `totp_required` if the role is not granted without two-factor authentication."""

    user: User
    totp_required: bool
    recovery_codes_left: int


def log_in(
    database: Database,
    passwords: Passwords,
    issuer: TokenIssuer,
    username: str,
    password: str,
    otp: str | None = None,
    *,
    visitor: Visitor,
    presented: Presented,
) -> SignIn:
    """Start a session for correct credentials; the session of a guest who logs in ends.

    Raises TooManyAttempts, and WrongCredentials after the same time for unknown users and wrong passwords.
    After a right password, raises OtpRequired or OtpInvalid if the account needs a code.
    """
    passwords.require_room(Rank.KNOWN, visitor.place)
    with database.autocommit() as connection:
        user = users.find_user_at_login(connection, normalize_name(username))
        if user is None:
            passwords.require_room(Rank.UNKNOWN, visitor.place)
        attempt = count_attempt(connection, username, user, visitor)
    # The hash is checked outside the block, so that hashing does not occupy a database connection.
    with judging(database, attempt):
        checked = passwords.check(user.password_hash if user else None, password, place=visitor.place)
    if not checked.is_right or user is None or user.disabled:
        record_refusal("wrong credentials" if not checked.is_right else "account disabled", user, visitor)
        raise WrongCredentials
    if user.has_totp:
        with judging(database, attempt):
            require_code(database, attempt, user, otp, visitor)
    with database.transaction() as connection:
        guest = _find_presenter(connection, presented)
        guest_sub = None
        if guest is not None and guest.role == "guest":
            guest_sub = str(guest.id)
            end_sessions_of(connection, guest.id)
        session = start_session(connection, user, visitor, token_seconds=issuer.seconds, guest_sub=guest_sub)
        # The account row is locked first, as in a password change, so that the two do not deadlock.
        attempt.succeed(connection, user)
    if checked.fresh_hash:
        with database.transaction() as connection:
            users.renew_hash(connection, user, checked.fresh_hash)
    audit_trail.record(
        "auth.login.succeeded",
        "A user logged in",
        actor=str(user.id),
        target=str(session.id),
        address=visitor.address,
    )
    return sign_in(issuer, session)


def start_guest_session(database: Database, issuer: TokenIssuer, visitor: Visitor) -> SignIn:
    """Start a session for a new guest."""
    with database.autocommit() as connection:
        session = insert_guest_session(connection, visitor, token_seconds=issuer.seconds)
    return sign_in(issuer, session)


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
    """Create a customer and start a session; a guest becomes the customer and keeps the cart and the orders.

    Raises WeakPassword, UsernameTaken, and AlreadyRegistered if the caller is not a guest.
    """
    refuse_weak("password", password, username, email)
    passwords.require_room(Rank.NEW, visitor.place)
    claim_older_names(database)
    with database.transaction() as connection:
        presenter = _find_presenter(connection, presented)
        if presenter is not None and presenter.role != "guest":
            raise AlreadyRegistered
        # Refuse known names before hashing. For concurrent registrations, the indexes decide.
        if names.has_owner(connection, derive_skeletons(username)):
            raise UsernameTaken
    choose = partial(passwords.choose, rank=Rank.NEW, place=visitor.place)
    password_hash = choose_hash(choose, "password", password, username, email)
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
        if email is not None:
            account_mails.request_verification(connection, user, email)
        session = start_session(connection, user, visitor, token_seconds=issuer.seconds)
    audit_trail.record(
        "auth.user.registered",
        "A user registered",
        actor=str(user.id),
        target=str(user.id),
        old=presenter.role if presenter else None,
        new=user.role,
        address=visitor.address,
    )
    return sign_in(issuer, session)


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
    """Change the caller's password, end all sessions and start a new one.

    Raises WeakPassword, WrongPassword, and TooManyAttempts, because callers could guess passwords here.
    """
    user = find_account(database, caller)
    refuse_weak("new_password", new, user.username, user.email)
    attempt = prove_password(database, passwords, user, current, visitor)
    with judging(database, attempt):
        choose = partial(passwords.choose, rank=Rank.KNOWN, place=visitor.place)
        password_hash = choose_hash(choose, "new_password", new, user.username, user.email)
    with database.transaction() as connection:
        found = users.lock_user(connection, user.id)
        if found is None or found.password_changed_at != user.password_changed_at:
            raise WrongPassword
        changed = users.change_password(connection, user.id, password_hash)
        attempt.succeed(connection, changed)
        if changed.email is not None and changed.email_verified:
            account_mails.mail_notice(connection, changed, account_mails.PASSWORD_CHANGED, changed.email)
        end_sessions_of(connection, user.id)
        session = start_session(
            connection, changed, visitor, token_seconds=issuer.seconds, guest_sub=caller.guest_sub
        )
    audit_trail.record(
        "auth.password.changed",
        "A user changed the password",
        target=str(user.id),
        address=visitor.address,
    )
    return sign_in(issuer, session)


def confirm_password(
    database: Database, passwords: Passwords, password: str, *, caller: Caller, visitor: Visitor
) -> None:
    """Check the caller's password again, because the session may be in the wrong hands.

    Raises WrongPassword, and TooManyAttempts, because callers could guess passwords here.
    """
    user = find_account(database, caller)
    attempt = prove_password(database, passwords, user, password, visitor)
    with database.transaction() as connection:
        attempt.succeed(connection, user)


def create_admin(database: Database, passwords: Passwords, username: str, password: str) -> User:
    """Add an admin; raise WeakPassword or UsernameTaken."""
    refuse_weak("password", password, username)
    password_hash = choose_hash(passwords.choose, "password", password, username)
    claim_older_names(database)
    with database.transaction() as connection:
        user = users.insert_user(connection, username, "admin", password_hash)
    audit_trail.record(
        "auth.user.admin_created", "An admin was created by command", target=str(user.id), new="admin"
    )
    return user


def describe_account(database: Database, issuer: TokenIssuer, caller: Caller) -> OwnAccount:
    """Return the caller's account and its recovery codes; raise NotFound if it no longer exists."""
    user = find_account(database, caller)
    left = 0
    if user.has_totp:
        with database.autocommit() as connection:
            left = totp.count_recovery_codes(connection, user.id)
    return OwnAccount(user, issuer.needs_totp(user.role) and not user.has_totp, left)


def find_account(database: Database, caller: Caller) -> User:
    """Return the caller's account; raise NotFound if it no longer exists."""
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


def choose_hash(
    choose: Callable[[str, list[str]], str | None], field: str, password: str, *names: str | None
) -> str:
    """Return the hash of a new password; raise WeakPassword if few guesses find it."""
    chosen = choose(password, list_own_words(*names))
    if chosen is None:
        raise WeakPassword(field, GUESSABLE)
    return chosen


def refuse_weak(field: str, password: str, *names: str | None) -> None:
    """Raise WeakPassword if a new password breaks a rule that needs no estimate of guesses."""
    weakness = find_weakness(password, *names)
    if weakness:
        raise WeakPassword(field, weakness)
