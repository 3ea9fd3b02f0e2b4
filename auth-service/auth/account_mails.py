"""The mails of accounts: what they say, and how they are recorded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auth.domain.accounts import User
from auth.domain.links import MAILS_WITHIN, MOST_MAILS, Purpose
from auth.repository import links
from shared import outbox
from shared.database import Connection
from shared.link_tokens import hash_token, make_token
from shared.mail import CHANNEL, ENDPOINT
from shared.outbox import Message, NewMessage
from shared.outbox_tasks import insert_task

TEMPLATES = Path(__file__).parent / "mails"
# Tasks, which find out whom to mail.
MAIL_VERIFICATION, MAIL_RESET = "mail_verification", "mail_reset"
VERIFY, RESET = "email_verify", "password_reset"
PASSWORD_CHANGED, ADDRESS_CHANGED, ADDRESS_IN_USE = "password_changed", "address_changed", "address_in_use"
PURPOSES = {VERIFY: Purpose.VERIFY, RESET: Purpose.RESET}
# The page of the storefront that a link opens. The token is in the fragment, which no server receives.
PAGES = {VERIFY: "verify-email", RESET: "reset-password"}
# Mails that a caller who does not own the address can cause.
LIMITED = (VERIFY, RESET, ADDRESS_IN_USE)
# A link in a mail that was sent: the token was erased.
ERASED = "…"


class MailDescriber:
    """Returns the values of the templates of account mails."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url.rstrip("/")

    def describe(self, message: Message) -> Mapping[str, Any]:
        """Return the values of a mail's templates."""
        page = PAGES.get(message.kind)
        link = f"{self._public_url}/#/{page}?token={message.secret or ERASED}" if page else None
        return {**message.data, "link": link, "forgot_url": f"{self._public_url}/#/forgot-password"}


def request_verification(connection: Connection, user: User, email: str) -> None:
    """Record the task to mail a link that verifies an address of a user."""
    insert_task(connection, MAIL_VERIFICATION, str(user.id), {"user_id": str(user.id), "email": email})


def request_reset(connection: Connection, email: str) -> None:
    """Record the task to mail a link that resets the password of the account with this address."""
    insert_task(connection, MAIL_RESET, email.lower(), {"email": email})


def mail_link(connection: Connection, user: User, kind: str, email: str) -> None:
    """Record a mail with a link for a user, unless the address got several mails in the last minutes."""
    if not _has_room(connection, email):
        return
    outbox.insert_message(connection, _make_link_mail(connection, user, kind, email))


def mail_notice(connection: Connection, user: User, kind: str, email: str) -> None:
    """Record a mail without a link about a user's account."""
    if kind in LIMITED and not _has_room(connection, email):
        return
    outbox.insert_message(connection, _make_mail(user, kind, email))


def renew_mail(connection: Connection, message: Message, user: User | None) -> NewMessage | None:
    """Return the message that repeats a mail, with a new link; None if its account no longer needs it."""
    email = message.recipient or ""
    if user is None or user.disabled or (message.kind == VERIFY and user.has_verified(email)):
        return None
    make = _make_link_mail if message.kind in PURPOSES else lambda _connection, *others: _make_mail(*others)
    return make(connection, user, message.kind, email)


def _make_link_mail(connection: Connection, user: User, kind: str, email: str) -> NewMessage:
    token = make_token()
    links.insert_link(connection, hash_token(token), user, PURPOSES[kind], email)
    return _make_mail(user, kind, email, token)


def _make_mail(user: User, kind: str, email: str, token: str | None = None) -> NewMessage:
    data = {"username": user.username, "email": email, "new_email": user.email}
    return NewMessage(CHANNEL, ENDPOINT, str(user.id), kind, data, recipient=email, secret=token)


def _has_room(connection: Connection, email: str) -> bool:
    return outbox.count_recent_messages(connection, email, LIMITED, MAILS_WITHIN) < MOST_MAILS
