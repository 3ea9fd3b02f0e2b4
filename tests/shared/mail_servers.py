"""Mail servers for tests: a real one, which refuses what a test says, and scripts of broken ones."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.stacks import reserve_port
from tools.certificate import make_certificate

USER, PASSWORD = "shop@example.com", "s3cret password"


class MailServer:
    """An SMTP server (aiosmtpd) that accepts every mail, except as `refusals` say.

    `refusals` has the answers to the next commands by their names, such as RCPT; None accepts one.
    """

    def __init__(self, *, encrypted: ssl.SSLContext | None = None, **options: Any) -> None:
        self.received: list[Envelope] = []
        self.refusals: dict[str, list[str | None]] = {}
        self.connections = 0
        self.options: list[list[str]] = []
        self.port = reserve_port()
        self.was_encrypted: list[bool] = []
        self._controller = _controller(self, encrypted, {"enable_SMTPUTF8": True, **options})
        self._controller.start()

    def close(self) -> None:
        """Stop the server."""
        self._controller.stop()

    def read(self, number: int = -1) -> EmailMessage:
        """Return a received mail."""
        content = self.received[number].content
        assert isinstance(content, bytes)
        return message_from_bytes(content, policy=SMTP_POLICY)  # type: ignore[return-value]

    def read_parts(self, number: int = -1) -> list[str]:
        """Return the contents of a received mail's parts, with the line breaks of this machine."""
        return [part.get_content().replace("\r\n", "\n") for part in self.read(number).iter_parts()]

    async def handle_EHLO(  # noqa: N802  # The names of these methods are aiosmtpd's.
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, answers: list[str]
    ) -> list[str]:
        """Greet the client."""
        session.host_name = hostname
        self.connections += server.transport is not None and not getattr(session, "is_known", False)
        session.is_known = True  # type: ignore[attr-defined]
        return answers

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept a sender."""
        refusal = self._refuse("MAIL")
        if refusal is None:
            envelope.mail_from = address
            self.options.append(options)
        return refusal or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept a recipient."""
        refusal = self._refuse("RCPT")
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Accept a mail."""
        refusal = self._refuse("DATA")
        if refusal == "drop":
            server.transport.close()
            return "250 OK"
        if refusal is None:
            self.received.append(envelope)
            self.was_encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return refusal or "250 OK"

    def _refuse(self, command: str) -> str | None:
        answers = self.refusals.get(command)
        return answers.pop(0) if answers else None


def _controller(handler: MailServer, encrypted: ssl.SSLContext | None, options: dict[str, Any]) -> Controller:
    return Controller(
        handler, hostname="127.0.0.1", port=handler.port, ssl_context=encrypted, ready_timeout=30, **options
    )


def authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
) -> AuthResult:
    """Accept one user."""
    assert isinstance(data, LoginPassword)
    return AuthResult(
        success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False
    )


class Certificates:
    """A self-signed certificate: the server's side, and a client that trusts it."""

    def __init__(self, folder: Path) -> None:
        certificate, key = make_certificate()
        (folder / "cert.pem").write_bytes(certificate)
        (folder / "key.pem").write_bytes(key)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self.client = ssl.create_default_context(cadata=certificate.decode())


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[socket.socket]]]:
    """Run a server that calls `talk` with each connection, in a thread; return its port and connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            connections.append(connection)
            threading.Thread(target=run, args=(connection,), daemon=True).start()

    def run(connection: socket.socket) -> None:
        with suppress(OSError):
            talk(connection)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], connections
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
