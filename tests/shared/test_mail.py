"""Mails over SMTP: connections, refusals, time-outs, headers and parts, with a real server."""

import logging
import re
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared import mail as mail_module
from shared.letters import Letters
from shared.mail import CHANNEL, ENDPOINT, MailChannel, MailSettings, read_letters
from shared.outbox import Message, State, Verdict
from shared.settings import read_settings
from tests.shared.mail_servers import (
    PASSWORD,
    USER,
    Certificates,
    MailServer,
    authenticate,
    serving,
)

TOKEN = "t0ken-of-a-link"
PUBLIC_URL = "https://shop.example.com"
TEXT = (
    "Subject: Hello {{ name }}\nDear {{ name }},\n{{ shop_url }}/#{{ secret }}\n{% include 'footer.txt' %}\n"
)
HTML = """{% extends "layout.html" %}{% import "parts.html" as parts with context %}
{% block content %}{% call parts.paragraph() %}Dear {{ name }}{% endcall %}
{{ parts.button(shop_url ~ "/#" ~ secret, "Open") }}{% endblock %}"""
GREETING = b"220 mail.example.com\r\n"


@pytest.fixture
def templates(tmp_path):
    folder = tmp_path / "mails"
    folder.mkdir()
    (folder / "note.txt").write_text(TEXT, encoding="utf-8")
    (folder / "note.html").write_text(HTML, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def serve():
    """Start mail servers."""
    with ExitStack() as started:

        def serve(**options):
            server = MailServer(**options)
            started.callback(server.close)
            return server

        yield serve


@pytest.fixture
def connect(templates, certificates):
    """Return what sends mails to a URL, over one connection."""
    with ExitStack() as opened:

        def connect(url, *, trusted=True, overrides=None, **settings):
            values = MailSettings(smtp_url=url, mail_from="Tea Shop <tea@example.com>", **settings)
            letters = Letters(templates, public_url=PUBLIC_URL, overrides=overrides)
            tls = certificates.client if trusted else None
            channel = MailChannel(values, letters, describe, production=True, tls=tls)
            return opened.enter_context(channel.open(ENDPOINT))

        yield connect


def describe(message):
    return {**message.data, "secret": message.secret}


def write(name="Ada", recipient="ada@example.com", number=1):
    """Return a message as the outbox has it."""
    at = datetime(2026, 3, 1, 10, 0, 0, 412_000, tzinfo=UTC)
    return Message(
        id=UUID(int=number),
        channel=CHANNEL,
        endpoint=ENDPOINT,
        subject="order",
        kind="note",
        recipient=recipient,
        data={"name": name},
        secret=TOKEN,
        state=State.WAITING,
        attempts=0,
        failures=0,
        created_at=at,
        next_attempt_at=at,
        finished_at=None,
        resend_of=None,
        log=[],
    )


def plain(server):
    return f"smtp://127.0.0.1:{server.port}"


def with_user(server, *, scheme="smtp"):
    return f"{scheme}://{USER.replace('@', '%40')}@127.0.0.1:{server.port}"


def test_a_server_without_tls_receives_a_mail_in_clear(serve, connect):
    server = serve()
    attempt = connect(plain(server))(write())
    assert (attempt.verdict, attempt.log["server"]) == (Verdict.SENT, f"127.0.0.1:{server.port}")
    [envelope] = server.received
    assert (envelope.mail_from, envelope.rcpt_tos) == ("tea@example.com", ["ada@example.com"])
    assert server.was_encrypted == [False]


def test_starttls_is_used_where_the_server_offers_it(serve, connect, certificates):
    server = serve(tls_context=certificates.server)
    assert connect(plain(server))(write()).verdict is Verdict.SENT
    assert server.was_encrypted == [True]


def test_smtps_is_tls_from_the_start(serve, connect, certificates):
    server = serve(encrypted=certificates.server)
    assert connect(f"smtps://127.0.0.1:{server.port}")(write()).verdict is Verdict.SENT
    assert server.was_encrypted == [True]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_the_shop_authenticates_with_its_user_and_password(serve, connect, certificates, scheme):
    tls = {"tls_context": certificates.server} if scheme == "smtp" else {"encrypted": certificates.server}
    # aiosmtpd does not see that implicit TLS is TLS.
    server = serve(authenticator=authenticate, auth_required=True, auth_require_tls=scheme == "smtp", **tls)
    send = connect(with_user(server, scheme=scheme), smtp_password=PASSWORD)
    assert send(write()).verdict is Verdict.SENT
    refused = connect(with_user(server, scheme=scheme), smtp_password="wrong")(write())
    assert (refused.verdict, refused.log["status"]) == (Verdict.UNREACHABLE, 535)
    anonymous = connect(f"{scheme}://127.0.0.1:{server.port}")(write())
    assert (anonymous.verdict, anonymous.log["status"]) == (Verdict.UNREACHABLE, 530)
    assert len(server.received) == 1


def test_a_password_in_the_url_may_have_any_character(serve, connect, certificates):
    server = serve(authenticator=authenticate, auth_required=True, tls_context=certificates.server)
    url = f"smtp://{USER.replace('@', '%40')}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{server.port}"
    assert connect(url)(write()).verdict is Verdict.SENT


def test_without_starttls_no_password_is_sent(connect):
    heard = []

    def talk(connection):
        connection.sendall(GREETING)
        while line := connection.recv(1000):
            heard.append(line)
            connection.sendall(b"250-mail.example.com\r\n250 AUTH PLAIN LOGIN\r\n")

    with serving(talk) as (port, _):
        send = connect(f"smtp://shop@127.0.0.1:{port}", smtp_password=PASSWORD)
        attempt = send(write())
    assert attempt.verdict is Verdict.UNREACHABLE
    assert "STARTTLS" in attempt.log["error"]
    assert [line for line in heard if not line.lower().startswith((b"ehlo", b"quit"))] == []


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_certificate_that_is_not_trusted_is_refused(serve, connect, certificates, scheme):
    tls = {"tls_context": certificates.server} if scheme == "smtp" else {"encrypted": certificates.server}
    server = serve(authenticator=authenticate, auth_required=True, **tls)
    attempt = connect(with_user(server, scheme=scheme), trusted=False, smtp_password=PASSWORD)(write())
    assert attempt.verdict is Verdict.UNREACHABLE
    assert "certificate verify failed" in attempt.log["error"]
    assert server.received == []


def test_a_certificate_for_another_name_is_refused(serve, connect, certificates):
    server = serve(encrypted=certificates.server)
    attempt = connect(f"smtps://127.0.0.2:{server.port}")(write())
    assert attempt.verdict is Verdict.UNREACHABLE


@pytest.mark.parametrize(
    ("command", "answer", "verdict"),
    [
        ("RCPT", "450 4.2.0 Greylisted, try again later", Verdict.FAILED),
        ("RCPT", "452 4.2.2 Mailbox full", Verdict.FAILED),
        ("RCPT", "550 5.1.1 No such user", Verdict.REFUSED),
        ("RCPT", "554 5.7.1 Relay access denied", Verdict.FAILED),
        ("RCPT", "530 5.7.0 Authentication required", Verdict.UNREACHABLE),
        ("RCPT", "421 4.3.2 Shutting down", Verdict.UNREACHABLE),
        ("MAIL", "451 4.3.0 Out of order", Verdict.UNREACHABLE),
        ("MAIL", "550 5.7.1 This sender is not yours", Verdict.UNREACHABLE),
        ("MAIL", "552 5.3.4 Too big", Verdict.REFUSED),
        ("DATA", "451 4.7.1 Try again", Verdict.FAILED),
        ("DATA", "554 5.7.1 This is spam", Verdict.REFUSED),
        ("DATA", "552 5.3.4 Too big", Verdict.REFUSED),
        ("DATA", "421 4.3.2 Shutting down", Verdict.UNREACHABLE),
        ("DATA", "drop", Verdict.UNREACHABLE),
    ],
)
def test_an_answer_of_the_server_decides_about_the_mail_or_about_the_server(
    serve, connect, command, answer, verdict
):
    server = serve()
    send = connect(plain(server))
    server.refusals[command] = [answer]
    attempt = send(write())
    assert attempt.verdict is verdict
    if answer != "drop":
        code, _, text = answer.partition(" ")
        assert (attempt.log["status"], attempt.log["error"]) == (int(code), text)
    assert server.received == []
    # The next mail is sent, also over a connection that the server ended.
    assert send(write()).verdict is Verdict.SENT


def test_a_greylisted_mail_has_the_same_identity_when_it_is_sent_again(serve, connect):
    server = serve()
    send = connect(plain(server))
    message = write(number=7)
    server.refusals["DATA"] = [None]
    send(message)
    server.refusals["RCPT"] = ["450 4.2.0 Greylisted"]
    assert send(message).verdict is Verdict.FAILED
    assert send(message).verdict is Verdict.SENT
    first, second = server.read(0), server.read(1)
    assert first["Message-ID"] == second["Message-ID"] == f"<{message.id}@example.com>"
    assert first["Date"] == second["Date"] == "Sun, 01 Mar 2026 10:00:00 +0000"


def test_many_mails_are_sent_over_one_connection(serve, connect):
    server = serve()
    send = connect(plain(server))
    for number in range(30):
        if number == 10:
            server.refusals["RCPT"] = ["550 5.1.1 No such user"]
        assert send(write(number=number)).verdict is (Verdict.REFUSED if number == 10 else Verdict.SENT)
    assert len(server.received) == 29
    assert server.connections == 1


def test_a_server_that_ends_a_connection_after_some_mails_receives_the_next_over_another(serve, connect):
    server = serve()
    send = connect(plain(server))
    assert send(write()).verdict is Verdict.SENT
    server.refusals["MAIL"] = ["421 4.7.0 Too many mails for one connection"]
    assert send(write()).verdict is Verdict.SENT
    assert (len(server.received), server.connections) == (2, 2)


def test_a_connection_that_the_server_closed_silently_is_made_again(serve, connect):
    def talk(connection):
        connection.sendall(GREETING)
        lines = connection.makefile("rb")
        in_data = False
        for line in lines:
            if in_data:
                in_data = line != b".\r\n"
                if in_data:
                    continue
                connection.sendall(b"250 OK\r\n")
                break
            in_data = line.upper().startswith(b"DATA")
            connection.sendall(b"354 Go on\r\n" if in_data else b"250 OK\r\n")
        lines.close()
        connection.close()

    with serving(talk) as (port, connections):
        send = connect(f"smtp://127.0.0.1:{port}")
        assert [send(write()).verdict for _ in range(3)] == [Verdict.SENT] * 3
        assert len(connections) == 3


def test_a_connection_that_is_dropped_amid_the_mail_blames_the_server(connect):
    def talk(connection):
        connection.sendall(GREETING)
        for answer in (b"250 OK\r\n", b"250 OK\r\n", b"250 OK\r\n", b"354 Go on\r\n"):
            connection.recv(1000)
            connection.sendall(answer)
        connection.recv(10)
        connection.close()

    with serving(talk) as (port, _):
        attempt = connect(f"smtp://127.0.0.1:{port}")(write(name="A" * 100_000))
    assert attempt.verdict is Verdict.UNREACHABLE


def test_a_server_that_is_not_there_is_unreachable(connect):
    with serving(lambda _connection: None) as (port, _):
        pass
    for host in ("127.0.0.1", "no-such-host.invalid"):
        attempt = connect(f"smtp://{host}:{port}")(write())
        assert (attempt.verdict, bool(attempt.log["error"])) == (Verdict.UNREACHABLE, True), host


def stall(_connection):
    """Accept a connection and never answer."""


def stall_after_greeting(connection):
    connection.sendall(GREETING)


@pytest.mark.parametrize(
    ("scheme", "talk"), [("smtp", stall), ("smtp", stall_after_greeting), ("smtps", stall)]
)
def test_a_server_that_never_answers_is_unreachable_after_a_time(connect, monkeypatch, talk, scheme):
    monkeypatch.setattr(mail_module, "STEP_TIMEOUT", 0.3)
    with serving(talk) as (port, _):
        began = time.monotonic()
        attempt = connect(f"{scheme}://127.0.0.1:{port}")(write())
    assert attempt.verdict is Verdict.UNREACHABLE
    assert "timed out" in attempt.log["error"]
    assert time.monotonic() - began < 10


def drip_greeting(connection):
    while True:
        connection.sendall(b"2")
        time.sleep(0.05)


def drip_after_greeting(connection):
    connection.sendall(GREETING)
    drip_greeting(connection)


def drip_after_the_mail(connection):
    connection.sendall(GREETING)
    for answer in (b"250 OK\r\n", b"250 OK\r\n", b"250 OK\r\n", b"354 Go on\r\n"):
        connection.recv(1000)
        connection.sendall(answer)
    drip_greeting(connection)


@pytest.mark.parametrize("talk", [drip_greeting, drip_after_greeting, drip_after_the_mail])
def test_a_server_that_drips_bytes_is_unreachable_after_a_time(connect, monkeypatch, talk):
    # Each byte comes in time, so that only the limit on the whole attempt ends it.
    monkeypatch.setattr(mail_module, "SEND_TIMEOUT", 0.5)
    with serving(talk) as (port, _):
        began = time.monotonic()
        attempt = connect(f"smtp://127.0.0.1:{port}")(write())
    assert attempt.verdict is Verdict.UNREACHABLE
    assert 0.5 < time.monotonic() - began < 10


def test_a_server_that_drips_in_tls_is_unreachable_after_a_time(connect, monkeypatch, certificates):
    monkeypatch.setattr(mail_module, "SEND_TIMEOUT", 0.5)

    def talk(connection):
        with certificates.server.wrap_socket(connection, server_side=True) as encrypted:
            drip_after_greeting(encrypted)

    with serving(talk) as (port, _):
        attempt = connect(f"smtps://127.0.0.1:{port}")(write())
    assert attempt.verdict is Verdict.UNREACHABLE


def test_a_connection_that_is_made_late_is_shut_down(connect, monkeypatch):
    monkeypatch.setattr(mail_module, "SEND_TIMEOUT", 0.2)
    make = mail_module.MailServer.connect

    def connect_slowly(self, hold):
        time.sleep(0.4)
        return make(self, hold)

    monkeypatch.setattr(mail_module.MailServer, "connect", connect_slowly)
    with serving(drip_after_greeting) as (port, _):
        attempt = connect(f"smtp://127.0.0.1:{port}")(write())
    assert (attempt.verdict, attempt.log["error"]) == (Verdict.UNREACHABLE, "The server took too long")


def test_no_mail_is_sent_after_its_time_because_another_replica_may_send_it(serve, connect, monkeypatch):
    monkeypatch.setattr(mail_module, "SEND_TIMEOUT", 0.2)
    server = serve()
    make, held = mail_module.MailServer.connect, []

    def connect_slowly(self, _hold):
        # As while a name is looked up, where there is no connection to shut down.
        time.sleep(0.3)
        return make(self, held.append)

    monkeypatch.setattr(mail_module.MailServer, "connect", connect_slowly)
    attempt = connect(plain(server))(write())
    held[0].close()
    assert (attempt.verdict, attempt.log["error"]) == (Verdict.UNREACHABLE, "The server took too long")
    assert server.received == []


def test_an_international_recipient_receives_a_mail_with_smtputf8(serve, connect):
    server = serve()
    assert connect(plain(server))(write(recipient="zoë@example.com")).verdict is Verdict.SENT
    [envelope] = server.received
    assert envelope.rcpt_tos == ["zoë@example.com"]
    assert "SMTPUTF8" in server.options[0]
    assert "To: zoë@example.com\r\n".encode() in envelope.content


def test_an_international_recipient_is_refused_by_a_server_without_smtputf8(serve, connect):
    server = serve(enable_SMTPUTF8=False)
    send = connect(plain(server))
    assert send(write(recipient="zoë@example.com")).verdict is Verdict.REFUSED
    assert send(write()).verdict is Verdict.SENT


def test_a_server_without_ehlo_refuses_only_international_recipients(connect):
    def talk(connection):
        connection.sendall(GREETING)
        for line in connection.makefile("rb"):
            known = line.upper().startswith((b"HELO", b"QUIT", b"RSET", b"MAIL"))
            connection.sendall(b"250 OK\r\n" if known else b"502 Unknown\r\n")

    with serving(talk) as (port, _):
        assert (
            connect(f"smtp://127.0.0.1:{port}")(write(recipient="zoë@example.com")).verdict is Verdict.REFUSED
        )


def test_an_international_domain_needs_no_support_by_the_server(serve, connect):
    server = serve(enable_SMTPUTF8=False)
    assert connect(plain(server))(write(recipient="ada@bücher.example")).verdict is Verdict.SENT
    assert server.received[0].rcpt_tos == ["ada@xn--bcher-kva.example"]
    assert server.read()["To"] == "ada@xn--bcher-kva.example"


HOSTILE = [
    "ada@example.com\r\nBcc: eve@example.com",
    "ada@example.com\nSubject: spam",
    "ada\r\nBcc:eve@example.com",
    "ada@example.com, eve@example.com",
    "ada@example.com>\r\nRCPT TO:<eve@example.com",
    "zoë\r\nBcc:eve@example.com",
    "zoë,eve@example.com",
    "<ada@example.com>",
    "ada",
    "",
    "@",
]


def test_a_recipient_adds_no_header_and_no_recipient(serve, connect):
    server = serve()
    send = connect(plain(server))
    attempts = {recipient: send(write(recipient=recipient)).verdict for recipient in HOSTILE}
    assert {each for each, verdict in attempts.items() if verdict is not Verdict.REFUSED} == set()
    assert server.received == []
    assert send(write()).verdict is Verdict.SENT, "they are not blamed on the server"


def test_a_name_adds_no_header(serve, connect):
    server = serve()
    send = connect(plain(server))
    for name in (
        "Ada\r\nBcc: eve@example.com",
        "Ada\n\n<html>",
        "Ada\u2028Bcc: eve@example.com",
        "A\x00\x1b[0m",
    ):
        assert send(write(name=name)).verdict is Verdict.SENT, name
        mail = server.read()
        assert mail["Bcc"] is None
        assert [header for header in mail.keys() if header.lower() not in EXPECTED] == []  # noqa: SIM118
        assert not re.search(r"[\x00-\x1f\u2028]", mail["Subject"]), name
        assert server.received[-1].rcpt_tos == ["ada@example.com"]


EXPECTED = {
    *("from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type"),
    # aiosmtpd adds these.
    *("x-peer", "x-mailfrom", "x-rcptto"),
}


def test_the_headers_of_a_mail(serve, connect, tmp_path):
    overrides = tmp_path / "owner"
    overrides.mkdir()
    (overrides / "shop.toml").write_text(
        'name = "Zoës Bücher, Tee & \U0001f375"\nreply_to = "Hilfe für alle <help@example.com>"\n',
        encoding="utf-8",
    )
    server = serve()
    send = connect(plain(server), overrides=overrides)
    name = "\u05e9\u05dc\u05d5\u05dd \U0001f469\u200d\U0001f4bb " + "Ada von und zu " * 20
    assert send(write(name=name.strip())).verdict is Verdict.SENT
    mail = server.read()
    assert mail["Subject"] == f"Hello {name.strip()}"
    assert mail["From"].addresses[0].addr_spec == "tea@example.com"
    assert mail["Reply-To"].addresses[0].addr_spec == "help@example.com"
    assert mail["Reply-To"].addresses[0].display_name == "Hilfe für alle"
    assert mail["Auto-Submitted"] == "auto-generated"
    head = server.received[0].content.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert max(map(len, head.split(b"\r\n"))) <= 78


def test_the_sender_without_mail_from_is_the_shop(templates, tmp_path):
    overrides = tmp_path / "owner"
    overrides.mkdir()
    (overrides / "shop.toml").write_text('name = "Zoës Bücher"', encoding="utf-8")
    for url, given, sender in [
        ("https://shop.example.com", None, "Zoës Bücher <no-reply@shop.example.com>"),
        ("https://bücher.example:8443/", None, "Zoës Bücher <no-reply@xn--bcher-kva.example>"),
        ("http://[::1]:8080", None, "Zoës Bücher <no-reply@shop.invalid>"),
        (PUBLIC_URL, "tea@example.com", "Zoës Bücher <tea@example.com>"),
        (PUBLIC_URL, "Tea <tea@example.com>", "Tea <tea@example.com>"),
    ]:
        assert str(Letters(templates, public_url=url, overrides=overrides).choose_sender(given)) == sender


def test_a_mail_has_a_text_and_then_html_in_short_lines(serve, connect):
    server = serve()
    name = "Zoë \U0001f375 " + "x" * 2000
    assert connect(plain(server))(write(name=name)).verdict is Verdict.SENT
    mail = server.read()
    assert mail.get_content_type() == "multipart/alternative"
    text, html = mail.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    # The text is wrapped; a long word stays whole.
    wrapped = name.replace(" x", "\nx")
    assert server.read_parts()[0].startswith(f"Dear {wrapped},\n")
    assert f"Dear {name}" in server.read_parts()[1]
    content = server.received[0].content
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 78
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_a_line_that_is_a_dot_does_not_end_the_mail(serve, connect, templates):
    (templates / "note.txt").write_text("Subject: Dots\n.\n..\nend", encoding="utf-8")
    server = serve()
    assert connect(plain(server))(write()).verdict is Verdict.SENT
    assert server.read_parts()[0] == ".\n..\nend\n"


def test_no_secret_is_logged(serve, connect, certificates, caplog, templates):
    caplog.set_level(logging.DEBUG)
    server = serve(authenticator=authenticate, auth_required=True, tls_context=certificates.server)
    attempts = [connect(with_user(server), smtp_password=PASSWORD)(write())]
    attempts.append(connect(with_user(server), smtp_password="wrong " + PASSWORD)(write()))
    server.refusals["RCPT"] = ["550 5.1.1 No such user"]
    attempts.append(connect(with_user(server), smtp_password=PASSWORD)(write()))
    (templates / "note.txt").write_text("Subject: x\n{{ {}[secret].y }}", encoding="utf-8")
    attempts.append(connect(with_user(server), smtp_password=PASSWORD)(write()))
    assert [each.verdict for each in attempts] == [
        Verdict.SENT,
        Verdict.UNREACHABLE,
        Verdict.REFUSED,
        Verdict.FAILED,
    ]
    ours = [record for record in caplog.records if record.name != "mail.log"]  # That is the server's.
    told = repr([record.__dict__ for record in ours]) + repr(attempts) + repr(write())
    assert TOKEN not in told
    assert PASSWORD not in told


def test_an_answer_that_repeats_the_address_is_recorded_without_it(serve, connect):
    server = serve()
    server.refusals["RCPT"] = ["550 5.1.1 <Ada@Example.com>: no such user"]
    attempt = connect(plain(server))(write())
    assert attempt.log["error"] == "5.1.1 <…>: no such user"


def test_links_are_those_of_the_public_url(serve, connect):
    server = serve()
    connect(plain(server))(write())
    for part in server.read_parts():
        found = re.findall(r"https?://[^\s\"<]+", part)
        assert {url.partition("#")[0].rstrip("/") for url in found} == {PUBLIC_URL}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SMTP_URL", "mail.example.com", "SMTP_URL is malformed: must be like smtp://user@host:587"),
        ("SMTP_URL", "http://mail.example.com", "SMTP_URL is malformed"),
        ("SMTP_URL", "smtp://", "SMTP_URL is malformed"),
        ("SMTP_URL", "smtp://host:port", "SMTP_URL is malformed"),
        ("SMTP_URL", "smtp://host:99999", "SMTP_URL is malformed"),
        ("SMTP_URL", "smtp://host/path", "SMTP_URL is malformed"),
        ("SMTP_URL", "smtp://[::1", "SMTP_URL is malformed"),
        ("SMTP_URL", "smtp://u:pa#s3cret@host", "SMTP_URL is malformed"),
        ("SMTP_URL", "smtp://u:s3cret/x@host", "SMTP_URL is malformed"),
        ("SMTP_URL", f"smtp://{'ä' * 70}.example", "SMTP_URL is malformed"),
        ("SMTP_URL", "smtp://shop@mail.example.com", "SMTP_PASSWORD is malformed: it must be set"),
        ("MAIL_FROM", "Tea Shop", "MAIL_FROM is malformed: must be an email address"),
        ("MAIL_FROM", "a@example.com, b@example.com", "MAIL_FROM is malformed"),
        ("MAIL_FROM", "Tea\r\nBcc: <a@example.com>", "MAIL_FROM is malformed"),
        ("MAIL_FROM", "zoë@example.com", "MAIL_FROM is malformed"),
        ("MAILS_PER_MINUTE", "0", "MAILS_PER_MINUTE is malformed"),
    ],
)
def test_a_malformed_setting_stops_the_start_with_one_sentence(capsys, name, value, sentence):
    with pytest.raises(SystemExit) as stopped:
        read_settings(MailSettings, {name: value})
    assert stopped.value.code == 3
    told = capsys.readouterr().err
    assert told.startswith(f"Cannot start: {sentence}")
    assert told.count("\n") == 1
    assert "s3cret" not in told


def test_well_formed_settings_are_read():
    settings = read_settings(
        MailSettings,
        {
            "SMTP_URL": "smtps://shop%40example.com@[::1]:465",
            "SMTP_PASSWORD": PASSWORD,
            "MAIL_FROM": "Bücher & Tee <tea@bücher.example>",
            "MAILS_PER_MINUTE": "10",
        },
    )
    assert settings.mails_per_minute == 10
    assert PASSWORD not in repr(settings)


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        (None, None, "owner is not a folder."),
        ("shop.toml", "name = ", "shop.toml: Invalid value"),
        ("shop.toml", 'nmae = "Tea"', "shop.toml: nmae: Extra inputs are not permitted."),
        ("shop.toml", 'colour = "red"', "shop.toml: colour: String should match"),
        ("shop.toml", 'sender = "Tea"', "shop.toml: sender: must be an email address."),
        ("shop.toml", 'name = "Tea\\nShop"', "shop.toml: name: must be one line."),
        ("shop.toml", b"name = '\xff'", "shop.toml: "),
        ("note.txt", "Subject: {{ name }\n", "note.txt, line 1: unexpected '}'."),
        ("note.html", "a\n{% block x %}\n", "note.html, line 2: "),
        ("note.html", "{{ name|shout }}", "note.html, line 1: No filter named 'shout'."),
        ("note.html", '{% extends "layuot.html" %}', "note.html: there is no template layuot.html."),
        ("note.html", b"\xff", "note.html: "),
        ("note.txt", "Dear {{ name }}", "note.txt: its first line must begin with Subject:."),
    ],
)
def test_an_error_in_the_owners_folder_stops_the_start_with_one_sentence(
    capsys, templates, tmp_path, file, content, sentence
):
    folder = tmp_path / "owner"
    if file:
        folder.mkdir()
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SystemExit) as stopped:
        read_letters(MailSettings(mail_templates=folder), templates, PUBLIC_URL)
    assert stopped.value.code == 3
    told = capsys.readouterr().err
    assert told.startswith("Cannot start: MAIL_TEMPLATES has an error: ")
    assert sentence in told
    assert told.count("\n") == 1
