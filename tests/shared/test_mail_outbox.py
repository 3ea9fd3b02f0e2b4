"""Mails from the outbox to a mail server, while templates and the server break and are repaired."""

from contextlib import closing
from datetime import timedelta

import pytest

from shared import courier, outbox
from shared.app import build_app
from shared.courier import Courier
from shared.database import connect
from shared.letters import Letters
from shared.mail import CHANNEL, ENDPOINT, MailChannel, MailSettings
from shared.outbox import NewMessage, State
from shared.settings import ServiceSettings
from tests.shared.mail_servers import MailServer
from tests.shared.outboxes import Outbox
from tests.waiting import wait_for

GOOD = {
    "note.txt": "Subject: Note {{ number }}\nNote",
    "note.html": "<p>Note</p>",
    "other.html": "<p>Other</p>",
}


@pytest.fixture
def settings(reuse_database):
    return ServiceSettings(
        service="orders-service", instance="orders-1", database_url=reuse_database("orders-service")
    )


@pytest.fixture
def box(settings):
    with closing(connect(settings)) as database:
        yield Outbox(database)


@pytest.fixture
def templates(tmp_path):
    for name, content in {**GOOD, "other.txt": "Subject: Other {{ number }}\nOther"}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


@pytest.fixture
def server():
    server = MailServer()
    yield server
    server.close()


@pytest.fixture
def channel(templates, server):
    settings = MailSettings(smtp_url=f"smtp://127.0.0.1:{server.port}", mails_per_minute=100_000)
    letters = Letters(templates, public_url="https://shop.example.com")
    return MailChannel(settings, letters, lambda message: message.data, production=True)


@pytest.fixture
def start(settings, auth, channel, monkeypatch):
    """Start the courier; the first retry is after a second, and the others soon after it."""
    monkeypatch.setattr(courier, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(outbox, "FIRST_WAIT", timedelta(milliseconds=300))
    monkeypatch.setattr(outbox, "LONGEST_WAIT", timedelta(seconds=2))
    monkeypatch.setattr(outbox, "LONGEST_PAUSE", timedelta(milliseconds=50))
    app = build_app(settings, title="Test", database=connect(settings), auth=auth)
    yield lambda: Courier(app, app.database, {CHANNEL: channel})
    app.close()


def add(box, kind, *, subject="order", number=1, recipient="ada@example.com", secret=None):
    message = NewMessage(CHANNEL, ENDPOINT, subject, kind, {"number": number}, recipient, secret)
    with box.database.transaction() as connection:
        return outbox.insert_message(connection, message)


def test_a_mail_whose_template_breaks_delays_no_other_and_is_sent_once_it_is_repaired(
    box, start, server, templates
):
    (templates / "note.txt").write_text("Subject: Note\n\n{{ nmuber }}", encoding="utf-8")
    broken, behind = add(box, "note", subject="a"), add(box, "other", subject="a", number=2)
    others = [add(box, "other", subject=f"b{number}", number=number) for number in range(30)]
    start()
    wait_for(lambda: all(box.find(each).state is State.SENT for each in others))
    found = wait_for(lambda: (message := box.find(broken)).log and message)
    assert (found.state, found.log[0]["result"]) == (State.WAITING, "failed")
    assert found.log[0]["error"] == "note.txt, line 3: 'nmuber' is undefined"
    assert box.find(behind).state is State.WAITING, "it does not overtake the broken one"
    (templates / "note.txt").write_text(GOOD["note.txt"], encoding="utf-8")
    wait_for(lambda: box.find(behind).state is State.SENT)
    assert [server.read(number)["Subject"] for number in (-2, -1)] == ["Note 1", "Other 2"]


def test_an_unknown_kind_of_mail_delays_no_other(box, start):
    # A newer release recorded it, or an older one.
    unknown, other = add(box, "no_such_kind", subject="a"), add(box, "other", subject="b")
    start()
    wait_for(lambda: box.find(other).state is State.SENT)
    found = wait_for(lambda: (message := box.find(unknown)).log and message)
    assert found.log[0]["error"] == "no_such_kind.txt: there is no template no_such_kind.txt"


def test_mails_of_an_outage_of_the_server_arrive_after_it_once_and_in_order(box, start, server):
    server.refusals["MAIL"] = ["451 4.3.0 Out of order"] * 4
    server.refusals["DATA"] = ["421 4.3.2 Shutting down"]
    for number in (1, 2, 3):
        for order in range(10):
            add(box, "other", subject=f"order-{order}", number=number, recipient=f"{order}@example.com")
    start()
    wait_for(lambda: box.count("sent") == 30)
    assert len(server.received) == 30
    for order in range(10):
        subjects = [
            server.read(number)["Subject"]
            for number, envelope in enumerate(server.received)
            if envelope.rcpt_tos == [f"{order}@example.com"]
        ]
        assert subjects == ["Other 1", "Other 2", "Other 3"]
    assert box.sql("SELECT max(failures) FROM outbox")[0][0] == 0, "the mails are not to blame"


def test_a_greylisted_mail_waits_and_a_refused_one_is_dead_and_others_go_on(box, start, server):
    server.refusals["RCPT"] = ["450 4.2.0 Greylisted", "550 5.1.1 No such user"]
    greylisted, refused, other = (add(box, "other", subject=name, secret="t0ken") for name in "abc")
    start()
    wait_for(lambda: box.find(greylisted).state is State.SENT)
    assert [each["result"] for each in box.find(greylisted).log] == ["failed", "sent"]
    assert box.find(greylisted).secret is None
    dead = box.find(refused)
    assert (dead.state, dead.log[0]["status"], dead.log[0]["error"]) == (
        State.DEAD,
        550,
        "5.1.1 No such user",
    )
    assert dead.secret == "t0ken", "a mail that is sent again needs its link"
    assert box.find(other).attempts == 1
