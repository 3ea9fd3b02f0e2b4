"""The mailbox of the back office: the mails of a service, sent or not, as their recipients see them.

mount(app, mailbox_routes("/orders", Mailbox(database, channel)), access=ADMIN)
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response
from pydantic import BaseModel, ConfigDict, Field

from shared import outbox
from shared.database import Connection, Database
from shared.errors import NotFound, Problem
from shared.letters import Letter, LettersInvalid
from shared.mail import CHANNEL, MailChannel
from shared.openapi import document_errors
from shared.outbox import Message, NewMessage, State
from shared.pages import PageQuery, decode_id, encode_id
from shared.schemas import example, example_of

LINK = re.compile(r'\shref="[^"]*"')
# The preview is a page of its own: styles of the mail work, scripts and pictures of others do not, and only
# the back office may frame it. `sandbox` gives it an origin of its own.
PREVIEW_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
)
# In development, a link opens outside the frame.
LINKS_ALLOWED = " allow-popups allow-popups-to-escape-sandbox"


class MailNotFound(NotFound):
    """The mail does not exist, or is older than 30 days."""

    code = "mail_not_found"
    detail = "There is no such mail."


class MailWaiting(Problem):
    """The mail is yet to be sent, so it cannot be sent again."""

    status = 409
    code = "mail_waiting"
    detail = "This mail is still to be sent."


class MailObsolete(Problem):
    """The recipient no longer needs the mail."""

    status = 409
    code = "mail_obsolete"
    detail = "The recipient no longer needs this mail: the account has changed since."


class MailBroken(Problem):
    """A template of the mail has an error."""

    status = 409
    code = "mail_broken"
    detail = "A template of this mail has an error."


class MailQuery(PageQuery):
    """The query parameters of the list of mails."""

    state: State | None = Field(default=None, description="Only mails in this state.")
    about: UUID | None = Field(default=None, description="Only mails about this order or user.")


class MailOut(BaseModel):
    """A mail; `about` is the order or the user that it is about."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra=example(
            {
                "id": "018f5c41-5f31-7b20-9c1d-2f4e8a6b7c08",
                "kind": "order_confirmed",
                "about": "018f5c41-5d80-7a2b-8e14-7fbc9d512f04",
                "recipient": "ada@example.com",
                "subject": "Your order 1001 is confirmed",
                "state": "sent",
                "attempts": 1,
                "error": None,
                "resend_of": None,
                "created_at": "2026-03-01T10:00:00.412Z",
                "next_attempt_at": None,
                "finished_at": "2026-03-01T10:00:01.020Z",
            }
        ),
    )

    id: UUID
    kind: str
    about: str
    recipient: str
    subject: str | None = Field(description="null if a template of the mail has an error.")
    state: State
    attempts: int
    error: str | None = Field(description="Why the last attempt failed.")
    resend_of: UUID | None = Field(description="The mail that this one repeats.")
    created_at: datetime
    next_attempt_at: datetime | None
    finished_at: datetime | None


class MailPage(BaseModel):
    """Mails, newest first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(MailOut)], "next": None}))

    data: list[MailOut]
    next: str | None


class MailWithText(MailOut):
    """A mail with its text; `preview` has the HTML."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                **example_of(MailOut),
                "text": "Thank you for your order.\n",
                "preview": "/orders/mails/018f5c41-5f31-7b20-9c1d-2f4e8a6b7c08/preview",
            }
        )
    )

    text: str | None
    preview: str


class Mailbox:
    """The mails of a service.

    `renew` returns the message that repeats a mail, or None if that is obsolete, for a service whose mails
    have links. Outside
    development, a preview has no links: an admin must not see the token of a customer.
    """

    def __init__(
        self,
        database: Database,
        channel: MailChannel,
        *,
        shows_links: bool,
        renew: Callable[[Connection, Message], NewMessage | None] | None = None,
    ) -> None:
        self.shows_links = shows_links
        self._database = database
        self._channel = channel
        self._renew = renew or (lambda _connection, message: repeat(message))

    def list_mails(
        self, *, limit: int, state: State | None = None, about: UUID | None = None, before: UUID | None = None
    ) -> tuple[list[Message], UUID | None]:
        """Return a page of mails, newest first, and the id of its last mail if there are more."""
        with self._database.autocommit() as connection:
            found = outbox.read_messages(
                connection,
                channel=CHANNEL,
                limit=limit + 1,
                subject=str(about) if about else None,
                state=state,
                before=before,
            )
        page = found[:limit]
        return page, page[-1].id if len(found) > limit else None

    def find_mail(self, mail_id: UUID) -> Message:
        """Return a mail; raise MailNotFound."""
        with self._database.autocommit() as connection:
            return _require(outbox.find_message(connection, mail_id))

    def make_letter(self, message: Message) -> Letter | None:
        """Return a mail as its recipient sees it; None if a template has an error."""
        try:
            return self._channel.make_letter(message if self.shows_links else message.without_secret())
        except LettersInvalid:
            return None

    def resend(self, mail_id: UUID) -> Message:
        """Send a mail again: a dead one with its id, any other as a new mail.

        Raises MailNotFound, MailWaiting, MailObsolete.
        """
        with self._database.transaction() as connection:
            message = _require(outbox.find_message(connection, mail_id))
            if message.state is State.WAITING:
                raise MailWaiting
            if message.state is State.DEAD:
                outbox.send_again(connection, message.id)
                new_id = message.id
            else:
                renewed = self._renew(connection, message)
                if renewed is None:
                    raise MailObsolete
                new_id = outbox.insert_message(connection, renewed)
            return _require(outbox.find_message(connection, new_id))


def repeat(message: Message) -> NewMessage:
    """Return a new message with the content of this one."""
    return NewMessage(
        channel=message.channel,
        endpoint=message.endpoint,
        subject=message.subject,
        kind=message.kind,
        data=message.data,
        recipient=message.recipient,
        resend_of=message.id,
    )


def describe_mail(mailbox: Mailbox, message: Message) -> MailOut:
    """Return a mail as the back office shows it."""
    letter = mailbox.make_letter(message)
    is_waiting = message.state is State.WAITING
    last = message.log[-1] if message.log else {}
    return MailOut(
        id=message.id,
        kind=message.kind,
        about=message.subject,
        recipient=message.recipient or "",
        subject=letter.subject if letter else None,
        state=message.state,
        attempts=message.attempts,
        error=last.get("error"),
        resend_of=message.resend_of,
        created_at=message.created_at,
        next_attempt_at=message.next_attempt_at if is_waiting else None,
        finished_at=message.finished_at,
    )


def describe_page(mailbox: Mailbox, page: Iterable[Message], last: UUID | None) -> MailPage:
    """Return a page of mails; `last` is the id of its last mail if there are more."""
    return MailPage(data=[describe_mail(mailbox, each) for each in page], next=encode_id(last))


def mailbox_routes(prefix: str, mailbox: Mailbox) -> APIBlueprint:
    """Return the routes of a mailbox, below `prefix`."""
    routes = APIBlueprint("mailbox", __name__)

    @routes.get(f"{prefix}/mails")
    @routes.input(MailQuery, location="query")
    @routes.output(MailPage)
    def list_mails(query_data: MailQuery) -> MailPage:
        """List the mails of the last 30 days, newest first."""
        page, last = mailbox.list_mails(
            limit=query_data.limit,
            state=query_data.state,
            about=query_data.about,
            before=decode_id(query_data.cursor),
        )
        return describe_page(mailbox, page, last)

    @routes.get(f"{prefix}/mails/<uuid:mail_id>")
    @routes.output(MailWithText)
    @routes.doc(responses=document_errors(MailNotFound))
    def show_mail(mail_id: UUID) -> MailWithText:
        """Show a mail with its text."""
        message = mailbox.find_mail(mail_id)
        letter = mailbox.make_letter(message)
        shown = describe_mail(mailbox, message).model_dump()
        preview = f"{prefix}/mails/{mail_id}/preview"
        return MailWithText(**shown, text=letter.text if letter else None, preview=preview)

    @routes.get(f"{prefix}/mails/<uuid:mail_id>/preview")
    @routes.doc(
        responses={
            200: {
                "description": "The HTML of the mail.",
                "content": {"text/html": {"schema": {"type": "string"}}},
            },
            **document_errors(MailNotFound, MailBroken),
        }
    )
    def preview_mail(mail_id: UUID) -> Response:
        """Show the HTML of a mail as a page for a sandboxed frame."""
        letter = mailbox.make_letter(mailbox.find_mail(mail_id))
        if letter is None:
            raise MailBroken
        html, policy = letter.html, PREVIEW_POLICY
        if mailbox.shows_links:
            html = html.replace("<head>", '<head><base target="_blank">', 1)
            policy += LINKS_ALLOWED
        else:
            html = LINK.sub("", html)
        return Response(
            html, headers={"Content-Security-Policy": policy}, content_type="text/html; charset=utf-8"
        )

    @routes.post(f"{prefix}/mails/<uuid:mail_id>/resend")
    @routes.output(MailOut, status_code=202)
    @routes.doc(responses=document_errors(MailNotFound, MailWaiting, MailObsolete))
    def resend_mail(mail_id: UUID) -> MailOut:
        """Send a mail again, to the address of the first time."""
        return describe_mail(mailbox, mailbox.resend(mail_id))

    return routes


def _require(message: Message | None) -> Message:
    if message is None or message.channel != CHANNEL:
        raise MailNotFound
    return message
