"""Mails: the channel that sends them by SMTP, or keeps them in the mailbox of the back office."""

import smtplib
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from shared.courier import Send
from shared.letters import Letter, Letters, LettersInvalid, read_address
from shared.outbox import Attempt, Message, Verdict
from shared.settings import stop_start

CHANNEL = "mail"
ENDPOINT = "mail"  # One for all mails: the shop has one mail server.
STEP_TIMEOUT = 15.0  # Seconds for each answer of the server.
SEND_TIMEOUT = 45.0  # Seconds for a mail, which is less than the lease.
PORTS = {"smtp": 587, "smtps": 465}
SIZE_EXCEEDED, CLOSING = 552, 421  # Reply codes (RFC 5321, section 4.2.3).
LONGEST_ERROR = 500  # Characters of an answer that are kept.


def _check_smtp_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("must be like smtp://user@host:587 or smtps://user@host:465")
    _ = parts.port  # Raises ValueError if it is not a number.
    return url


def _check_sender(text: str) -> str:
    read_address(text)
    return text


class MailSettings(BaseModel):
    """The settings of a service that sends mails."""

    # Without it, mails stay in the mailbox of the back office.
    smtp_url: Annotated[str, AfterValidator(_check_smtp_url)] | None = None
    smtp_password: SecretStr | None = None
    mail_from: Annotated[str, AfterValidator(_check_sender)] | None = None
    # The owner's folder of templates.
    mail_templates: Path | None = None
    # The most mails per minute, so that an outage of the mail server does not end in a flood.
    mails_per_minute: int = Field(default=300, ge=1, le=100_000)


def read_letters(settings: MailSettings, templates: Path, public_url: str) -> Letters:
    """Return the mails of a service; end the process with a sentence if the owner's folder has an error."""
    try:
        return Letters(templates, public_url=public_url, overrides=settings.mail_templates)
    except LettersInvalid as error:
        stop_start(f"MAIL_TEMPLATES has an error: {error}.")


class MailServer:
    """An SMTP server (RFC 5321). `smtps` is TLS from the start; `smtp` uses STARTTLS if it is offered.

    With a user name, STARTTLS is required, so that the password is never sent in clear.
    """

    def __init__(self, url: str, password: str | None, tls: ssl.SSLContext | None = None) -> None:
        self._parts: SplitResult = urlsplit(url)
        self._password = password or unquote(self._parts.password or "")
        self._tls = tls or ssl.create_default_context()

    @property
    def name(self) -> str:
        """Return the host and port."""
        return f"{self._parts.hostname}:{self._port}"

    @property
    def _port(self) -> int:
        return self._parts.port or PORTS[self._parts.scheme]

    def connect(self) -> smtplib.SMTP:
        """Return a connection that is ready for mails; raise OSError or SMTPException."""
        host = self._parts.hostname or ""
        user = unquote(self._parts.username or "")
        if self._parts.scheme == "smtps":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(host, self._port, timeout=STEP_TIMEOUT, context=self._tls)
        else:
            smtp = smtplib.SMTP(host, self._port, timeout=STEP_TIMEOUT)
        try:
            smtp.ehlo_or_helo_if_needed()
            if self._parts.scheme == "smtp" and smtp.has_extn("starttls"):
                smtp.starttls(context=self._tls)
                smtp.ehlo()
            elif self._parts.scheme == "smtp" and user:
                raise smtplib.SMTPNotSupportedError(
                    "The server offers no STARTTLS, so the password would be sent in clear"
                )
            if user:
                smtp.login(user, self._password)
        except BaseException:
            smtp.close()
            raise
        return smtp


class MailChannel:
    """Sends mails to the shop's mail server. Without one, they are made and kept.

    `describe` returns the values of a message's templates.
    """

    patience: timedelta | None = None

    def __init__(
        self,
        settings: MailSettings,
        letters: Letters,
        describe: Callable[[Message], Mapping[str, Any]],
        *,
        production: bool,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
        self._server = MailServer(settings.smtp_url, password, tls) if settings.smtp_url else None
        self._letters = letters
        self._describe = describe
        self._sender = letters.choose_sender(settings.mail_from)
        self.rate: int | None = settings.mails_per_minute if self._server else None
        # In development without a mail server, the mailbox shows the links.
        self.erases_secrets = production or self._server is not None

    @contextmanager
    def open(self, endpoint: str) -> Iterator[Send]:  # noqa: ARG002  # There is one.
        """Return what sends mails over one connection, which the first mail opens."""
        session = Session(self._server) if self._server else None

        def send(message: Message) -> Attempt:
            letter = self.make_letter(message)
            if session is None:
                return Attempt(Verdict.KEPT)
            return session.send(self._write(message, letter))

        try:
            yield send
        finally:
            if session:
                session.close()

    def give_up(self, endpoint: str) -> None:
        """Do nothing: the mail server is never switched off."""

    def make_letter(self, message: Message) -> Letter:
        """Return the mail as its recipient sees it."""
        return self._letters.render(message.kind, self._describe(message))

    def _write(self, message: Message, letter: Letter) -> EmailMessage:
        """Return the mail with its headers. The header types refuse line breaks, so none can be injected."""
        recipient = message.recipient or ""
        mail = EmailMessage(SMTP if recipient.isascii() else SMTPUTF8)
        mail["From"] = self._sender
        mail["To"] = Address(addr_spec=recipient)
        if self._letters.shop.reply_to:
            mail["Reply-To"] = read_address(self._letters.shop.reply_to)
        mail["Subject"] = letter.subject
        mail["Date"] = format_datetime(message.created_at)
        mail["Message-ID"] = f"<{message.id}@{self._sender.domain}>"
        # RFC 3834: other programs must not answer, for example with a note of absence.
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(letter.text, cte="quoted-printable")
        mail.add_alternative(letter.html, subtype="html", cte="quoted-printable")
        return mail


class Session:
    """A connection to the mail server, for several mails."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._smtp: smtplib.SMTP | None = None

    def send(self, mail: EmailMessage) -> Attempt:
        """Send a mail, over a new connection if the last one has ended."""
        timer = threading.Timer(SEND_TIMEOUT, self._shut_down)
        timer.daemon = True
        timer.start()
        log = {"server": self._server.name}
        try:
            if self._smtp is None:
                self._smtp = self._server.connect()
            self._smtp.send_message(mail)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            attempt = self._judge(error, mail, log)
            if attempt.verdict is Verdict.UNREACHABLE:
                self.close()
            return attempt
        else:
            return Attempt(Verdict.SENT, log)
        finally:
            timer.cancel()

    def close(self) -> None:
        """End the connection."""
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        with suppress(smtplib.SMTPException, OSError, ValueError):
            if smtp.sock is not None:
                smtp.sock.settimeout(1.0)
                smtp.quit()
        smtp.close()

    def _shut_down(self) -> None:
        """End a connection whose server answers too slowly; the thread that reads from it then continues."""
        smtp = self._smtp
        if smtp is not None and smtp.sock is not None:
            with suppress(OSError):
                smtp.sock.shutdown(2)

    @staticmethod
    def _judge(error: Exception, mail: EmailMessage, log: Mapping[str, Any]) -> Attempt:
        """Return the attempt that ended with this error.

        The server judges a mail by its answer to the recipient or to the content: 5xx is permanent, 4xx is
        not (RFC 5321, section 4.2.1). All other errors concern the server or its settings.
        """
        code: int | None = None
        answer: bytes | str = str(error) or error.__class__.__name__
        verdict = Verdict.UNREACHABLE
        match error:
            case smtplib.SMTPRecipientsRefused():
                code, answer = next(iter(error.recipients.values()))
                verdict = _judge_code(code)
            case smtplib.SMTPDataError():
                code, answer = error.smtp_code, error.smtp_error
                verdict = _judge_code(code)
            case smtplib.SMTPSenderRefused():
                code, answer = error.smtp_code, error.smtp_error
                verdict = Verdict.REFUSED if code == SIZE_EXCEEDED else verdict
            case smtplib.SMTPResponseException():
                code, answer = error.smtp_code, error.smtp_error
            case smtplib.SMTPNotSupportedError() if not str(mail["To"]).isascii():
                verdict = Verdict.REFUSED
        text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
        return Attempt(verdict, {**log, "status": code, "error": " ".join(text.split())[:LONGEST_ERROR]})


def _judge_code(code: int) -> Verdict:
    if code == CLOSING:
        return Verdict.UNREACHABLE
    return Verdict.REFUSED if code >= 500 else Verdict.FAILED
