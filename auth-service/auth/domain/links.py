"""Mailed links, by which the owner of an email address verifies it or resets a password."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class Purpose(StrEnum):
    """What a link is for."""

    VERIFY = "verify"
    RESET = "reset"


LIVES = {Purpose.VERIFY: timedelta(hours=24), Purpose.RESET: timedelta(hours=1)}
# Mails with a link or a notice that one address gets, so that no caller can flood a mailbox.
MOST_MAILS, MAILS_WITHIN = 3, timedelta(minutes=10)
MOST_ACCOUNTS = 3  # Accounts with an unverified address that one request for a new password mails to.


@dataclass(frozen=True)
class Link:
    """An unused link of a user, to the address that it was mailed to."""

    user_id: UUID
    purpose: Purpose
    email: str
    password_changed_at: datetime | None
