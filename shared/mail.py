"""Mails: the channel that sends them by SMTP, or keeps them in the mailbox of the back office."""

import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationInfo, field_validator

from shared.courier import Send
from shared.letters import Letter, Letters, LettersInvalid, encode_domain, make_address, read_address
from shared.outbox import Attempt, Message, Verdict
from shared.settings import stop_start

CHANNEL = "mail"
ENDPOINT = "mail"  # One for all mails: the shop has one mail server.
STEP_TIMEOUT = 15.0  # Seconds for each answer of the server.
SEND_TIMEOUT = 45.0  # Seconds for a mail with its connection, which is less than `outbox.LONGEST_SEND`.
SHUT_DOWN_AGAIN = 0.2  # Seconds; a connection that is being made cannot be shut down yet.
PORTS = {"smtp": 587, "smtps": 465}
OK, CLOSING, SIZE_EXCEEDED = 250, 421, 552  # Reply codes (RFC 5321, section 4.2.3).
NOT_AUTHENTICATED = frozenset({530, 534, 535, 538})  # RFC 4954, section 6.
POLICY = re.compile(r"5\.7\.\d")  # An enhanced code of security or policy (RFC 3463, section 3.8).
LONGEST_ERROR = 500  # Characters of an answer that are kept.


def _check_smtp_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port, encode_domain(host)
        is_good = (
            parts.scheme in PORTS and host and not (parts.path.strip("/") or parts.query or parts.fragment)
        )
    except ValueError:
        # Its message could have a part of the password.
        is_good = False
    if not is_good:
        raise ValueError("must be like smtp://user@host:587 or smtps://user@host:465")
    return url


def _check_sender(text: str) -> str:
    read_address(text)
    return text


class MailSettings(BaseModel):
    """The settings of a service that sends mails."""

    # Without it, mails stay in the mailbox of the back office.
    smtp_url: Annotated[str, AfterValidator(_check_smtp_url)] | None = None
    smtp_password: SecretStr | None = Field(default=None, validate_default=True)
    mail_from: Annotated[str, AfterValidator(_check_sender)] | None = None
    # The owner's folder of templates.
    mail_templates: Path | None = None
    # The most mails per minute, so that an outage of the mail server does not end in a flood.
    mails_per_minute: int = Field(default=300, ge=1, le=100_000)

    @field_validator("smtp_password")
    @classmethod
    def _require_with_user(cls, password: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        parts = urlsplit(info.data.get("smtp_url") or "")
        if parts.username and not (password or parts.password):
            raise ValueError("it must be set, because SMTP_URL has a user name")
        return password


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
        self._host = encode_domain(self._parts.hostname or "")
        self._user = unquote(self._parts.username or "")
        self._password = password or unquote(self._parts.password or "")
        self._tls = tls or ssl.create_default_context()
        self._own_name: str | None = None

    @property
    def name(self) -> str:
        """Return the host and port."""
        return f"{self._host}:{self._port}"

    @property
    def _port(self) -> int:
        return self._parts.port or PORTS[self._parts.scheme]

    def connect(self, hold: Callable[[smtplib.SMTP], None]) -> smtplib.SMTP:
        """Return a connection that is ready for mails; raise OSError or SMTPException.

        `hold` receives the connection before it is made, to close it from outside.
        """
        options = {"host": self._host, "port": self._port, "timeout": STEP_TIMEOUT}
        options["local_hostname"] = self._own_name
        is_implicit = self._parts.scheme == "smtps"
        if is_implicit:
            smtp: _Connection = _TlsConnection(hold, context=self._tls, **options)
        else:
            smtp = _Connection(hold, **options)
        # Looking it up may take a call to a name server.
        self._own_name = smtp.local_hostname
        smtp.ehlo_or_helo_if_needed()
        if not is_implicit and smtp.has_extn("starttls"):
            smtp.starttls(context=self._tls)
            smtp.ehlo()
        elif not is_implicit and self._user:
            raise smtplib.SMTPNotSupportedError(
                "The server offers no STARTTLS, so the password would be sent in clear"
            )
        if self._user:
            smtp.login(self._user, self._password)
        return smtp


class _Connection(smtplib.SMTP):
    """A connection that is known before it is made, because making it is what a stalled server prevents."""

    def __init__(self, hold: Callable[[smtplib.SMTP], None], **options: Any) -> None:
        hold(self)
        super().__init__(**options)


class _TlsConnection(_Connection, smtplib.SMTP_SSL):
    """A connection with TLS from the start."""


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
            try:
                letter = self.make_letter(message)
                if session is None:
                    return Attempt(Verdict.KEPT)
                mail = self._write(message, letter)
            except LettersInvalid as error:
                return Attempt(Verdict.FAILED, {"error": _shorten(str(error), message.secret)})
            except _RecipientInvalid:
                return Attempt(Verdict.REFUSED, {"error": "The recipient is no email address"})
            return session.send(mail)

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

    def _write(self, message: Message, letter: Letter) -> "_Mail":
        """Return the mail with its headers. The header types refuse line breaks, so none can be injected."""
        try:
            recipient = make_address(message.recipient or "")
        except ValueError:
            raise _RecipientInvalid from None
        mail = EmailMessage(SMTP if recipient.addr_spec.isascii() else SMTPUTF8)
        mail["From"] = self._sender
        mail["To"] = recipient
        if self._letters.shop.reply_to:
            mail["Reply-To"] = read_address(self._letters.shop.reply_to)
        mail["Subject"] = letter.subject
        mail["Date"] = format_datetime(message.created_at)
        mail["Message-ID"] = f"<{message.id}@{self._sender.domain}>"
        # RFC 3834: other programs must not answer, for example with a note of absence.
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(letter.text, cte="quoted-printable")
        mail.add_alternative(letter.html, subtype="html", cte="quoted-printable")
        # Here, so that a mail that cannot be written is not blamed on the server.
        return _Mail(self._sender.addr_spec, recipient.addr_spec, mail.as_bytes())


@dataclass(frozen=True)
class _Mail:
    """A mail as the server receives it."""

    sender: str
    recipient: str
    content: bytes = field(repr=False)

    @property
    def options(self) -> tuple[str, ...]:
        """Return the options of the command MAIL; a recipient that is not ASCII needs SMTPUTF8 (RFC 6531)."""
        return () if self.recipient.isascii() else ("SMTPUTF8", "BODY=8BITMIME")


class _RecipientInvalid(Exception):
    """The recipient is no email address."""


class Session:
    """A connection to the mail server, for several mails."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._smtp: smtplib.SMTP | None = None
        self._deadline = 0.0

    def send(self, mail: _Mail) -> Attempt:
        """Send a mail, over a new connection if the last one has ended."""
        log = {"server": self._server.name}
        try:
            with self._within(SEND_TIMEOUT):
                self._send(mail)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            is_late = time.monotonic() > self._deadline
            attempt = _judge(TimeoutError("The server took too long") if is_late else error, mail, log)
            if attempt.verdict is Verdict.UNREACHABLE:
                self._drop()
            return attempt
        return Attempt(Verdict.SENT, log)

    def close(self) -> None:
        """End the connection."""
        smtp = self._smtp
        if smtp is not None and smtp.sock is not None:
            with suppress(smtplib.SMTPException, OSError):
                smtp.sock.settimeout(1.0)
                smtp.quit()
        self._drop()

    def _send(self, mail: _Mail) -> None:
        old = self._find_open()
        try:
            self._transmit(old or self._connect(), mail)
        except smtplib.SMTPSenderRefused as refused:
            # Some servers end a connection after a number of mails.
            if old is None or refused.smtp_code != CLOSING:
                raise
            self._transmit(self._connect(), mail)

    def _transmit(self, smtp: smtplib.SMTP, mail: _Mail) -> None:
        if time.monotonic() > self._deadline:
            raise TimeoutError
        smtp.sendmail(mail.sender, [mail.recipient], mail.content, mail.options)

    def _connect(self) -> smtplib.SMTP:
        self._drop()
        return self._server.connect(self._hold)

    def _hold(self, smtp: smtplib.SMTP) -> None:
        self._smtp = smtp

    def _find_open(self) -> smtplib.SMTP | None:
        """Return the connection of the last mail, if the server accepts more mails over it."""
        smtp = self._smtp
        if smtp is None or smtp.sock is None:
            return None
        try:
            return smtp if smtp.rset()[0] == OK else None
        except (smtplib.SMTPException, OSError):
            return None

    def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """Shut the connection down if the block takes longer, for example because a server drips bytes."""
        self._deadline = time.monotonic() + seconds
        ended = threading.Event()
        timer = threading.Timer(seconds, self._shut_down, [ended])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            ended.set()
            timer.cancel()

    def _shut_down(self, ended: threading.Event) -> None:
        """End the connection, so that the thread that reads from it continues."""
        while True:
            sock = getattr(self._smtp, "sock", None)
            if sock is not None:
                with suppress(OSError):
                    # That of TLS would first make the connection a plain one.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
            if ended.wait(SHUT_DOWN_AGAIN):
                return


def _judge(error: Exception, mail: _Mail, log: Mapping[str, Any]) -> Attempt:
    """Return the attempt that ended with this error.

    The server judges a mail by its answer to the recipient or to the content: 5xx is permanent, 4xx is not
    (RFC 5321, section 4.2.1). All other errors concern the server or its settings.
    """
    code: int | None = None
    answer: bytes | str = str(error) or error.__class__.__name__
    verdict = Verdict.UNREACHABLE
    match error:
        case smtplib.SMTPRecipientsRefused():
            code, answer = next(iter(error.recipients.values()))
            verdict = _judge_recipient(code, _decode(answer))
        case smtplib.SMTPDataError():
            code, answer = error.smtp_code, error.smtp_error
            verdict = _judge_code(code)
        case smtplib.SMTPSenderRefused():
            code, answer = error.smtp_code, error.smtp_error
            verdict = Verdict.REFUSED if code == SIZE_EXCEEDED else verdict
        case smtplib.SMTPResponseException():
            code, answer = error.smtp_code, error.smtp_error
        case smtplib.SMTPNotSupportedError() | UnicodeEncodeError() if not mail.recipient.isascii():
            verdict = Verdict.REFUSED
    # The log has no personal data; servers like to repeat the address.
    return Attempt(verdict, {**log, "status": code, "error": _shorten(_decode(answer), mail.recipient)})


def _judge_recipient(code: int, answer: str) -> Verdict:
    """Return the verdict on a refused recipient.

    A server that refuses to relay for this client refuses every mail, until its settings or ours are right.
    """
    if code in NOT_AUTHENTICATED:
        return Verdict.UNREACHABLE
    return Verdict.FAILED if POLICY.match(answer) else _judge_code(code)


def _judge_code(code: int) -> Verdict:
    if code == CLOSING or not 400 <= code < 600:
        return Verdict.UNREACHABLE
    return Verdict.REFUSED if code >= 500 else Verdict.FAILED


def _decode(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


def _shorten(text: str, hidden: str | None) -> str:
    """Return text as one line of bounded length, without a token or an address."""
    line = " ".join(text.split())
    if hidden:
        line = re.sub(re.escape(hidden), "…", line, flags=re.IGNORECASE)
    return line[:LONGEST_ERROR]
