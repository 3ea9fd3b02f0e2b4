"""Check the codes of two-factor authentication; each code is good once."""

import time

from auth.domain.accounts import User, Visitor
from auth.domain.totp import find_step, hash_recovery_code, is_app_code, normalize_code
from auth.errors import OtpInvalid, OtpRequired
from auth.repository import throttle, totp
from auth.use_cases.attempts import Attempt, count_code, record_refusal
from shared import audit_trail
from shared.database import Database


def require_code(database: Database, attempt: Attempt, user: User, otp: str | None, visitor: Visitor) -> None:
    """Use up the code of a log-in with a right password; raise OtpRequired, OtpInvalid or TooManyAttempts.

    The try of the password stays counted until the log-in is complete.
    """
    if otp is None:
        with database.transaction() as connection:
            attempt.spare_address(connection)
        audit_trail.record(
            "auth.login.otp_required",
            "A log-in with the right password needs a code",
            actor=str(user.id),
            address=visitor.address,
        )
        raise OtpRequired
    if not spend_code(database, user, otp, visitor):
        raise OtpInvalid


def spend_code(database: Database, user: User, text: str, visitor: Visitor) -> bool:
    """Use up a code of the app or a recovery code; return False if it is wrong, too old or used.

    Raises TooManyAttempts for codes of the app. Recovery codes are too long to guess, and so get an owner in
    whose codes an attacker has used up.
    """
    code = normalize_code(text)
    is_right = (
        _spend_app_code(database, user, code, visitor)
        if is_app_code(code)
        else _spend_recovery_code(database, user, code, visitor)
    )
    if not is_right:
        record_refusal("wrong code", user, visitor)
    return is_right


def find_current_step(secret: str, code: str) -> int | None:
    """Return the time step of a code that is right now; None if it is wrong or too old."""
    return find_step(secret, code, time.time())


def _spend_app_code(database: Database, user: User, code: str, visitor: Visitor) -> bool:
    with database.autocommit() as connection:
        key = count_code(connection, user, visitor)
        secret = totp.find_secret(connection, user.id)
    step = find_current_step(secret, code) if secret else None
    if secret is None or step is None:
        return False
    with database.transaction() as connection:
        is_unused = totp.use_step(connection, user.id, secret, step)
        if is_unused:
            throttle.give_back(connection, [key])
    return is_unused


def _spend_recovery_code(database: Database, user: User, code: str, visitor: Visitor) -> bool:
    with database.transaction() as connection:
        is_unused = totp.use_recovery_code(connection, user.id, hash_recovery_code(code))
        left = totp.count_recovery_codes(connection, user.id)
    if is_unused:
        audit_trail.record(
            "auth.totp.recovery_code_used",
            "A user used a recovery code",
            actor=str(user.id),
            target=str(user.id),
            left=left,
            address=visitor.address,
        )
    return is_unused
