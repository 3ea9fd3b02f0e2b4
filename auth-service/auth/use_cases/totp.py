"""Turn two-factor authentication on and off; the audit trail records each change."""

from auth.domain.accounts import User, Visitor, parse_id
from auth.domain.credentials import normalize_name
from auth.domain.totp import (
    Enrolment,
    enrol,
    hash_recovery_code,
    make_recovery_codes,
    normalize_code,
)
from auth.errors import TotpNotBegun, TotpOff, TotpOn, UserNotFound, WrongCode, WrongPassword
from auth.issuer import TokenIssuer
from auth.passwords import Passwords
from auth.repository import sessions, throttle, totp, users
from auth.use_cases.accounts import find_account
from auth.use_cases.attempts import count_code, judging, prove_password, record_refusal
from auth.use_cases.codes import find_current_step, spend_code
from auth.use_cases.sessions import end_sessions_of
from shared import audit_trail
from shared.context import Caller
from shared.database import Connection, Database


def begin(
    database: Database, passwords: Passwords, host: str, current: str, *, caller: Caller, visitor: Visitor
) -> Enrolment:
    """Return a new secret, which log-ins do not need until a code confirms it; an earlier one is replaced.

    Raises TotpOn, WrongPassword and TooManyAttempts.
    """
    user = find_account(database, caller)
    if user.has_totp:
        raise TotpOn
    attempt = prove_password(database, passwords, user, current, visitor)
    enrolment = enrol(user.username, host)
    with database.transaction() as connection:
        if _lock(connection, user).has_totp:
            raise TotpOn
        attempt.succeed(connection, user)
        totp.replace_secret(connection, user.id, enrolment.secret)
    return enrolment


def confirm(database: Database, code: str, *, caller: Caller, visitor: Visitor) -> list[str]:
    """Turn two-factor authentication on and return the recovery codes, of which only hashes are stored.

    The user's other sessions end: one of them may be an intruder's, who has only the password. Raises TotpOn,
    TotpNotBegun, WrongCode and TooManyAttempts.
    """
    user = find_account(database, caller)
    if user.has_totp:
        raise TotpOn
    with database.autocommit() as connection:
        secret = totp.find_secret(connection, user.id)
        if secret is None:
            raise TotpNotBegun
        key = count_code(connection, user, visitor)
    step = find_current_step(secret, normalize_code(code))
    if step is None:
        record_refusal("wrong code", user, visitor)
        raise WrongCode
    codes = make_recovery_codes()
    with database.transaction() as connection:
        if _lock(connection, user).has_totp:
            raise TotpOn
        if not totp.use_step(connection, user.id, secret, step):
            # The user has begun again in the meantime.
            raise WrongCode
        totp.turn_on(connection, user.id, [hash_recovery_code(each) for each in codes])
        throttle.forget_tries(connection, key)
        ended = sessions.end_sessions(connection, user_id=user.id, kept=parse_id(caller.session or ""))
    audit_trail.record(
        "auth.totp.turned_on",
        "A user turned on two-factor authentication",
        target=str(user.id),
        sessions_ended=len(ended),
        address=visitor.address,
    )
    return codes


def turn_off(
    database: Database,
    passwords: Passwords,
    issuer: TokenIssuer,
    current: str,
    code: str,
    *,
    caller: Caller,
    visitor: Visitor,
) -> None:
    """Turn two-factor authentication off, with the password and a code or recovery code.

    All sessions end if the user's role needs it, so that no token keeps that role. Raises TotpOff,
    WrongPassword, WrongCode and TooManyAttempts.
    """
    user = find_account(database, caller)
    if not user.has_totp:
        raise TotpOff
    attempt = prove_password(database, passwords, user, current, visitor)
    with judging(database, attempt):
        is_right = spend_code(database, user, code, visitor)
    if not is_right:
        raise WrongCode
    with database.transaction() as connection:
        if not _lock(connection, user).has_totp:
            raise TotpOff
        totp.turn_off(connection, user.id)
        attempt.succeed(connection, user)
        ended = end_sessions_of(connection, user.id) if issuer.needs_totp(user.role) else []
    _record_turned_off("A user turned off two-factor authentication", user, len(ended), visitor.address)


def turn_off_by_command(database: Database, username: str) -> User:
    """Turn it off for a user who has lost the app and the recovery codes, and end the user's sessions.

    Raises UserNotFound and TotpOff.
    """
    with database.transaction() as connection:
        found = users.find_user_by_name(connection, normalize_name(username))
        user = users.lock_user(connection, found.id) if found else None
        if user is None:
            raise UserNotFound
        if not user.has_totp:
            raise TotpOff
        totp.turn_off(connection, user.id)
        ended = end_sessions_of(connection, user.id)
    _record_turned_off("Two-factor authentication was turned off by command", user, len(ended))
    return user


def _record_turned_off(sentence: str, user: User, ended: int, address: str | None = None) -> None:
    audit_trail.record(
        "auth.totp.turned_off", sentence, target=str(user.id), sessions_ended=ended, address=address
    )


def _lock(connection: Connection, user: User) -> User:
    """Lock the account and return its current state; raise WrongPassword if the password has changed."""
    found = users.lock_user(connection, user.id)
    if found is None or found.password_changed_at != user.password_changed_at:
        raise WrongPassword
    return found
