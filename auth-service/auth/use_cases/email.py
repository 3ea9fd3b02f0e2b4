"""Email addresses of accounts: set, verify, and reset a password by a mailed link.

The routes answer before the account is looked up: they record a task, so that known and unknown addresses get
the same answer after the same time. The functions whose names begin with `run_` are these tasks.
"""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from auth import account_mails
from auth.domain.accounts import Visitor, parse_id
from auth.domain.links import MOST_ACCOUNTS, Purpose
from auth.errors import LinkInvalid
from auth.passwords import Passwords, Rank
from auth.repository import links, throttle, users
from auth.use_cases.accounts import choose_hash, find_account, refuse_weak
from auth.use_cases.attempts import count_mail_request
from auth.use_cases.sessions import end_sessions_of
from shared import audit_trail
from shared.context import Caller
from shared.database import Connection, Database
from shared.link_tokens import hash_token
from shared.outbox import Message, NewMessage


def request_verification(database: Database, caller: Caller, email: str, visitor: Visitor) -> None:
    """Mail a link that makes this the address of the caller's account.

    A verified address stays the account's until the new one is verified. Raises NotFound, TooManyAttempts.
    """
    user = find_account(database, caller)
    with database.autocommit() as connection:
        count_mail_request(connection, visitor)
    with database.transaction() as connection:
        found = users.lock_user(connection, user.id)
        if found is not None and found.email_verified_at is None:
            links.set_email(connection, user.id, email)
        account_mails.request_verification(connection, user, email)
    audit_trail.record(
        "auth.email.requested",
        "A user set an email address",
        target=str(user.id),
        address=visitor.address,
    )


def run_mail_verification(connection: Connection, message: Message) -> None:
    """Mail a link; or, if a different account has verified the address, tell its owner and issue no link."""
    user = users.find_user(connection, UUID(message.data["user_id"]))
    email = message.data["email"]
    if user is None or user.disabled or user.has_verified(email):
        return
    owner = links.find_owner(connection, email)
    if owner is None:
        account_mails.mail_link(connection, user, account_mails.VERIFY, email)
    elif owner.email is not None:
        account_mails.mail_notice(connection, owner, account_mails.ADDRESS_IN_USE, owner.email)


def verify_email(database: Database, token: str) -> str:
    """Verify the address of a mailed link and return it; raise LinkInvalid."""
    with database.transaction() as connection:
        link = links.find_link(connection, hash_token(token), Purpose.VERIFY)
        before = users.lock_user(connection, link.user_id) if link else None
        is_used = link is not None and links.use_link(connection, hash_token(token))
        if link is None or before is None or not is_used:
            raise LinkInvalid
        if not links.verify_email(connection, before.id, link.email):
            raise LinkInvalid
        # The owner of the old mailbox must not reset the password any more.
        links.void_resets(connection, before.id)
        if before.email is not None and before.email_verified_at and not before.has_verified(link.email):
            changed = before.with_email(link.email)
            account_mails.mail_notice(connection, changed, account_mails.ADDRESS_CHANGED, before.email)
    audit_trail.record(
        "auth.email.verified", "A user verified an email address", actor=str(before.id), target=str(before.id)
    )
    return link.email


def request_reset(database: Database, email: str, visitor: Visitor) -> None:
    """Mail a link to reset the password of the account with this address; raise TooManyAttempts.

    The caller does not learn whether there is such an account.
    """
    with database.autocommit() as connection:
        count_mail_request(connection, visitor)
        account_mails.request_reset(connection, email)


def run_mail_reset(connection: Connection, message: Message) -> None:
    """Mail a link to the account that has verified this address, or else to those that name it.

    The mail goes to the stored address, never to the one that the caller typed, because two addresses can be
    equal without regard to case and belong to different people.
    """
    email = message.data["email"]
    owner = links.find_owner(connection, email)
    found = [owner] if owner else links.read_claimants(connection, email, MOST_ACCOUNTS)
    for user in found:
        if user.email is not None and not user.disabled:
            account_mails.mail_link(connection, user, account_mails.RESET, user.email)


def reset_password(
    database: Database, passwords: Passwords, token: str, password: str, visitor: Visitor
) -> None:
    """Set a new password by a mailed link, which also verifies the address, and end all sessions.

    Two-factor authentication stays on. Raises LinkInvalid, WeakPassword, HashingBusy.
    """
    hashed = hash_token(token)
    with database.autocommit() as connection:
        link = links.find_link(connection, hashed, Purpose.RESET)
        user = users.find_user(connection, link.user_id) if link else None
    if link is None or user is None:
        raise LinkInvalid
    refuse_weak("password", password, user.username, link.email)
    choose = partial(passwords.choose, rank=Rank.KNOWN, place=visitor.place)
    password_hash = choose_hash(choose, "password", password, user.username, link.email)
    with database.transaction() as connection:
        users.lock_user(connection, user.id)
        # The password may have been changed while this one was hashed.
        if not links.find_link(connection, hashed, Purpose.RESET) or not links.use_link(connection, hashed):
            raise LinkInvalid
        users.change_password(connection, user.id, password_hash)
        links.verify_email(connection, user.id, link.email)
        ended = end_sessions_of(connection, user.id)
        # Failed tries of others must not keep the owner waiting.
        throttle.remember_place(connection, user.id, visitor.place_hash)
        account_mails.mail_notice(connection, user, account_mails.PASSWORD_CHANGED, link.email)
    audit_trail.record(
        "auth.password.reset",
        "A user reset the password by a mailed link",
        actor=str(user.id),
        target=str(user.id),
        address=visitor.address,
        sessions_ended=len(ended),
    )


def find_verified_email(database: Database, user_id: UUID) -> str | None:
    """Return the verified address of a user; None without one."""
    with database.autocommit() as connection:
        user = users.find_user(connection, user_id)
    return user.email if user and user.email_verified_at else None


def find_guests(database: Database, subs: Sequence[str]) -> list[str]:
    """Return those of these users that have no account, because they are guests or were deleted."""
    ids = {user_id: sub for sub in subs if (user_id := parse_id(sub))}
    with database.autocommit() as connection:
        accounts = users.read_accounts(connection, list(ids))
    return sorted(sub for user_id, sub in ids.items() if user_id not in accounts)


def renew_mail(connection: Connection, message: Message) -> NewMessage | None:
    """Return the message that repeats a mail of an account, with a new link."""
    user_id = parse_id(message.subject)
    user = users.find_user(connection, user_id) if user_id else None
    return account_mails.renew_mail(connection, message, user)
