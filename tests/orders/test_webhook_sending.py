"""What happens to a message whose receiver fails, and what its delivery log shows."""

import base64
import logging
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from orders.repository import webhooks
from orders.webhook_channel import judge, read_retry_after
from shared.outbox import MOST_FAILURES, Verdict
from shared.outgoing import Answer
from tests.orders.conftest import Buyer, create_quick_app, read_status, run_sql
from tests.orders.receivers import (
    add_webhook,
    answer_with,
    list_deliveries,
    run_receiver,
    wait_for_state,
)
from tests.waiting import wait_for
from tools.certificate import make_certificate

IS_WEBHOOK = "WHERE channel = 'webhook'"
FINAL = 3


@pytest.fixture
def receiver():
    with run_receiver() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def quick_sending(monkeypatch):
    """Shorten the waits between attempts, and the time that a receiver has."""
    monkeypatch.setattr("shared.outbox.FIRST_WAIT", timedelta(milliseconds=20))
    monkeypatch.setattr("shared.outbox.GROWTH", 1)
    monkeypatch.setattr("orders.clients.WEBHOOK_TIMEOUT", 1.0)


def ping(admin, webhook):
    sent = admin.post(f"/webhooks/{webhook['id']}/ping")
    assert sent.status_code == 202
    return sent.json["id"]


def read_error(admin, webhook):
    """Return the error of a webhook once it has one."""
    return wait_for(lambda: admin.get(f"/webhooks/{webhook['id']}").json["error"])


def test_each_status_has_its_verdict():
    minute = {"Retry-After": "60"}
    cases = {
        (200, ()): (Verdict.SENT, MOST_FAILURES, 0, False),
        (204, ()): (Verdict.SENT, MOST_FAILURES, 0, False),
        (299, ()): (Verdict.SENT, MOST_FAILURES, 0, False),
        (101, ()): (Verdict.FAILED, MOST_FAILURES, 0, False),
        (301, ()): (Verdict.FAILED, MOST_FAILURES, 0, False),
        (304, ()): (Verdict.FAILED, MOST_FAILURES, 0, False),
        **{(status, ()): (Verdict.FAILED, FINAL, 0, False) for status in (400, 401, 403, 404, 405, 422, 451)},
        **{(status, ()): (Verdict.FAILED, MOST_FAILURES, 0, False) for status in (408, 409, 425)},
        (410, ()): (Verdict.REFUSED, MOST_FAILURES, 0, True),
        (429, ()): (Verdict.FAILED, MOST_FAILURES, 30, False),
        (429, tuple(minute.items())): (Verdict.FAILED, MOST_FAILURES, 60, False),
        (500, ()): (Verdict.FAILED, MOST_FAILURES, 0, False),
        (502, tuple(minute.items())): (Verdict.FAILED, MOST_FAILURES, 0, False),
        (503, ()): (Verdict.FAILED, MOST_FAILURES, 0, False),
        (503, tuple(minute.items())): (Verdict.FAILED, MOST_FAILURES, 60, False),
    }
    wrong = {}
    for (status, headers), (verdict, most, pause, is_gone) in cases.items():
        attempt = judge(Answer(status, dict(headers), b""), "")
        expected = (verdict, most if verdict is Verdict.FAILED else MOST_FAILURES, pause, is_gone)
        found = (attempt.verdict, attempt.most_failures, attempt.pause.total_seconds(), attempt.is_gone)
        if found != expected or (attempt.log.get("error") is None) != (verdict is Verdict.SENT):
            wrong[status, headers] = found
    assert wrong == {}


def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour():
    now = datetime.now(UTC)
    cases = {
        "0": 0,
        "120": 120,
        " 7 ": 7,
        "3601": 3600,
        "9" * 400: 3600,
        format_datetime(now + timedelta(seconds=100), usegmt=True): 100,
        format_datetime(now - timedelta(days=1), usegmt=True): 0,
        format_datetime(now + timedelta(days=400), usegmt=True): 3600,
        **dict.fromkeys(["", "soon", "-5", "1.5", "٣", "Mon, 99 Foo 2026", "Fri, 31 Dec 99999 23:59:59 GMT"]),
    }
    wrong = {}
    for value, seconds in cases.items():
        found = read_retry_after({"Retry-After": value})
        if (found is None) != (seconds is None) or (found and abs(found.total_seconds() - seconds) > 2):
            wrong[value[:40]] = found
    assert wrong == {}
    assert read_retry_after({}) is None


def test_all_attempts_have_the_same_body_and_each_its_own_signature(database, admin, buyer, receiver):
    webhook = add_webhook(admin, receiver.url(), ("order.confirmed",))
    receiver.statuses["/hook"] = [500, 500, 502]
    location = buyer.order().headers["Location"]
    receiver.wait_for(1)
    # The order changes between the attempts.
    wait_for(lambda: read_status(buyer, location) == "paid")
    admin.post(f"{location}/ship")
    messages = receiver.wait_for(4)
    assert len({message.body for message in messages}) == 1
    assert len({message.id for message in messages}) == 1
    assert messages[0].json["data"]["status"] == "confirmed"
    assert all(message.is_signed_with(webhook["secret"]) for message in messages)
    assert [message.headers["webhook-attempt"] for message in messages] == ["1", "2", "3", "4"]
    [delivery] = wait_for_state(admin, webhook, "sent")
    assert [each["status"] for each in delivery["attempts"]] == [500, 500, 502, 204]
    assert [each["result"] for each in delivery["attempts"]] == ["failed"] * 3 + ["sent"]
    assert delivery["attempts"][0]["error"] == "The receiver answered 500."
    assert all(each["milliseconds"] >= 0 and each["at"] for each in delivery["attempts"])
    assert admin.get(f"/webhooks/{webhook['id']}").json["error"] is None


def test_a_signature_covers_the_time_of_its_attempt(admin, receiver, monkeypatch):
    webhook = add_webhook(admin, receiver.url())
    receiver.statuses["/hook"] = [500]
    times = iter([int(time.time()) - 60, int(time.time())])
    monkeypatch.setattr("orders.webhook_channel.time", SimpleNamespace(time=lambda: next(times)))
    ping(admin, webhook)
    first, second = receiver.wait_for(2)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 60
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert second.is_signed_with(webhook["secret"])


def test_the_first_attempt_fixes_the_body_also_for_a_replica_of_another_release(database, admin, receiver):
    add_webhook(admin, receiver.url())
    run_sql(database, f"UPDATE outbox_endpoints SET is_active = false {IS_WEBHOOK}")
    [made] = run_sql(
        database,
        "INSERT INTO outbox (channel, endpoint, subject, kind, data)"
        f" SELECT 'webhook', name, 's', 'ping', '{{}}' FROM outbox_endpoints {IS_WEBHOOK} RETURNING id",
    )
    with database.autocommit() as connection:
        bodies = [webhooks.keep_body(connection, made.id, body) for body in ("old", "new")]
    assert bodies == ["old", "old"]


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refused_message_is_sent_three_times_and_delays_no_other(admin, receiver, status):
    """Saleor repeated such messages without end (issue 14557)."""
    webhook = add_webhook(admin, receiver.url())
    receiver.statuses["/hook"] = [status] * FINAL
    refused = ping(admin, webhook)
    [dead] = wait_for_state(admin, webhook, "dead")
    assert (dead["id"], dead["attempt_count"]) == (refused, FINAL)
    assert admin.get(f"/webhooks/{webhook['id']}").json["dead"] == 1
    accepted = ping(admin, webhook)
    assert receiver.wait_for(FINAL + 1)[-1].id == accepted


def test_the_events_of_an_order_arrive_in_their_order_and_those_of_others_pass(admin, buyer, receiver):
    add_webhook(admin, receiver.url(), ("order.*",))
    failing = threading.Event()
    failing.set()

    def answer(handler, _number):
        message = receiver.messages[-1].json
        is_first = message["data"]["note"] == "first"
        answer_with(handler, 500 if is_first and failing.is_set() else 204)

    receiver.answer = answer
    for note in ("first", "second"):
        location = buyer.order(note, note=note).headers["Location"]
        wait_for(lambda location=location: read_status(buyer, location) == "paid")

    def list_types(note):
        return [each.json["type"] for each in receiver.messages if each.json["data"]["note"] == note]

    wait_for(lambda: list_types("second") == ["order.confirmed", "order.paid"])
    assert set(list_types("first")) == {"order.confirmed"}
    failing.clear()
    wait_for(lambda: "order.paid" in list_types("first"))
    assert list_types("first").count("order.paid") == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_a_pause_gets_one(database, admin, receiver, status):
    webhook = add_webhook(admin, receiver.url())
    receiver.statuses["/hook"], receiver.headers = [status], {"Retry-After": "1800"}
    ping(admin, webhook)
    assert read_error(admin, webhook) == f"The receiver answered {status}."
    left = run_sql(database, f"SELECT paused_until - now() FROM outbox_endpoints {IS_WEBHOOK}")[0][0]
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    assert len(receiver.messages) == 1


def test_a_redirect_is_a_failure_and_is_not_followed(admin, receiver):
    webhook = add_webhook(admin, receiver.url())
    receiver.statuses["/hook"] = [301]
    receiver.headers = {"Location": receiver.url("/elsewhere?token=hidden")}
    ping(admin, webhook)
    error = read_error(admin, webhook)
    assert "redirects (301)" in error
    assert "/elsewhere" in error
    assert "hidden" not in error
    wait_for_state(admin, webhook, "sent")
    assert {message.path for message in receiver.messages} == {"/hook"}


def test_a_receiver_that_is_gone_is_switched_off_and_the_owner_told(database, admin, receiver):
    webhook = add_webhook(admin, receiver.url("/hook?token=hidden"))
    receiver.statuses["/hook?token=hidden"] = [410]
    ping(admin, webhook)
    shown = wait_for(lambda: find_inactive(admin, webhook))
    assert shown["error"] == "The receiver answered 410: it wants no more messages."
    assert (shown["waiting"], shown["dead"]) == (0, 1)
    mail = wait_for(lambda: read_owner_mails(database))[0]
    assert mail.recipient == "no-reply@localhost"
    text = wait_for(lambda: admin.get(f"/orders/mails/{mail.id}").json["text"])
    assert receiver.url() in text
    assert "410" in text
    assert "hidden" not in text
    assert "http://localhost:8080/#/admin/webhooks" in text


def find_inactive(admin, webhook):
    shown = admin.get(f"/webhooks/{webhook['id']}").json
    return None if shown["active"] else shown


def read_owner_mails(database):
    return run_sql(database, "SELECT id, recipient, data FROM outbox WHERE kind = 'webhook_disabled'")


def test_a_receiver_that_accepts_nothing_for_three_days_is_switched_off(database, admin, receiver, caplog):
    webhook = add_webhook(admin, receiver.url())
    receiver.statuses["/hook"] = [500] * 1000
    ping(admin, webhook)
    wait_for(lambda: admin.get(f"/webhooks/{webhook['id']}").json["failing_since"])
    since = "UPDATE outbox_endpoints SET failing_since = now() - interval '{}' " + IS_WEBHOOK
    run_sql(database, since.format("71 hours"))
    seen = len(receiver.messages)
    receiver.wait_for(seen + 2)
    assert find_inactive(admin, webhook) is None
    with caplog.at_level(logging.ERROR):
        run_sql(database, since.format("73 hours"))
        ping(admin, webhook)
        shown = wait_for(lambda: find_inactive(admin, webhook))
        [mail] = wait_for(lambda: read_owner_mails(database))
    assert shown["waiting"] >= 1
    assert mail.data["error"] == "The receiver answered 500."
    assert [each for each in caplog.records if "is switched off" in each.getMessage()]
    # What waited is sent once an admin switches it on.
    receiver.statuses = {}
    admin.call("PATCH", f"/webhooks/{webhook['id']}", json={"active": True})
    wait_for_state(admin, webhook, "sent", shown["waiting"])


def test_a_failure_after_days_without_a_message_is_the_first_one(database, admin, receiver):
    webhook = add_webhook(admin, receiver.url())
    receiver.statuses["/hook"] = [404] * 100
    ping(admin, webhook)
    wait_for_state(admin, webhook, "dead")
    run_sql(
        database,
        "UPDATE outbox_endpoints SET failing_since = now() - interval '4 days',"
        f" failed_at = now() - interval '4 days' {IS_WEBHOOK}",
    )
    ping(admin, webhook)
    wait_for_state(admin, webhook, "dead", 2)
    shown = admin.get(f"/webhooks/{webhook['id']}").json
    assert shown["active"] is True
    since = datetime.fromisoformat(shown["failing_since"])
    assert datetime.now(UTC) - since < timedelta(hours=1)


def test_the_mail_goes_to_the_address_of_the_shop(
    standing, auth, catalog, payments, database, receiver, tmp_path
):
    (tmp_path / "shop.toml").write_text('reply_to = "Help <help@shop.example>"')
    receiver.statuses["/hook"] = [410]
    settings = standing.settings.model_copy(
        update={"mail_templates": tmp_path, "mail_from": "Shop <no-reply@shop.example>"}
    )
    app = create_quick_app(settings, auth, catalog, payments)
    try:
        admin = Buyer(app, auth, "boss", role="admin")
        ping(admin, add_webhook(admin, receiver.url()))
        [mail] = wait_for(lambda: read_owner_mails(database))
    finally:
        app.close()
    assert mail.recipient == "help@shop.example"


def test_a_webhook_that_is_switched_off_during_an_attempt_gets_nothing_more(
    database, admin, receiver, caplog
):
    webhook, began, may_answer = add_webhook(admin, receiver.url()), threading.Event(), threading.Event()

    def answer(handler, _number):
        began.set()
        may_answer.wait(10)
        answer_with(handler, 204)

    receiver.answer = answer
    for _ in range(3):
        # Three subjects, so that all are due.
        run_sql(
            database,
            "INSERT INTO outbox (channel, endpoint, subject, kind, data)"
            " VALUES ('webhook', :name, gen_random_uuid()::text, 'ping', '{}')",
            name=webhook["id"],
        )
    began.wait(10)
    with caplog.at_level(logging.ERROR):
        admin.call("PATCH", f"/webhooks/{webhook['id']}", json={"active": False})
        may_answer.set()
        # The attempt in progress is still recorded.
        wait_for_state(admin, webhook, "sent")
        wait_for(
            lambda: run_sql(database, f"SELECT 1 FROM outbox_endpoints {IS_WEBHOOK} AND lease_token IS NULL")
        )
    assert len(receiver.messages) == 1
    # An admin did it, so that it is no news.
    assert read_owner_mails(database) == []
    assert not [each for each in caplog.records if "switched off" in each.getMessage()]


def test_a_webhook_that_is_deleted_during_an_attempt_leaves_nothing(database, admin, receiver):
    webhook, began, may_answer = add_webhook(admin, receiver.url()), threading.Event(), threading.Event()
    other = add_webhook(admin, receiver.url("/other"))

    def answer(handler, _number):
        if handler.path == "/hook":
            began.set()
            may_answer.wait(10)
        answer_with(handler, 204)

    receiver.answer = answer
    ping(admin, webhook)
    began.wait(10)
    assert admin.call("DELETE", f"/webhooks/{webhook['id']}").status_code == 204
    may_answer.set()
    ping(admin, other)
    wait_for_state(admin, other, "sent")
    assert {each[0] for each in run_sql(database, "SELECT endpoint FROM outbox")} == {other["id"]}
    assert admin.get(f"/webhooks/{webhook['id']}").status_code == 404


def test_a_deletion_waits_for_an_event_that_is_being_recorded(database, admin, paid, receiver):
    webhook = add_webhook(admin, receiver.url())
    deletion = threading.Thread(target=admin.call, args=("DELETE", f"/webhooks/{webhook['id']}"))
    order = paid.rpartition("/")[2]
    with database.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO order_events (order_id, kind, from_status, to_status, actor)"
            " VALUES (%s, 'shipped', 'paid', 'shipped', 'boss')",
            (order,),
        )
        deletion.start()
        wait_for(lambda: run_sql(database, "SELECT 1 FROM pg_locks WHERE NOT granted"))
    deletion.join(10)
    assert run_sql(database, "SELECT count(*) FROM outbox WHERE channel = 'webhook'")[0][0] == 0
    assert admin.get("/webhooks").json["data"] == []


def test_thousands_of_messages_to_a_dead_endpoint_delay_no_other(database, admin, receiver):
    with socket.socket() as silent:
        # It accepts connections and never answers.
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        dead = add_webhook(admin, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        live = add_webhook(admin, receiver.url())
        run_sql(
            database,
            "INSERT INTO outbox (channel, endpoint, subject, kind, data)"
            " SELECT 'webhook', :name, number::text, 'ping', '{}' FROM generate_series(1, 3000) AS number",
            name=dead["id"],
        )
        wait_for(lambda: admin.get(f"/webhooks/{dead['id']}").json["error"])
        began = time.monotonic()
        for _ in range(5):
            ping(admin, live)
        receiver.wait_for(5)
        assert time.monotonic() - began < 5
        shown = admin.get(f"/webhooks/{dead['id']}").json
        assert (shown["waiting"], shown["dead"]) == (3000, 0)
        # One message found out that the endpoint is silent; the others were not tried one after the other.
        tried = run_sql(
            database, "SELECT count(*) FROM outbox WHERE endpoint = :name AND attempts > 0", name=dead["id"]
        )
        assert tried[0][0] < 10


def test_a_large_answer_is_a_success_of_which_the_beginning_is_kept(admin, receiver):
    webhook = add_webhook(admin, receiver.url())
    sent = []

    def flood(handler, _number):
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        with suppress(OSError):
            while len(sent) < 1000:
                handler.wfile.write(b"x" * 100_000)
                sent.append(1)

    receiver.answer = flood
    ping(admin, webhook)
    [delivery] = wait_for_state(admin, webhook, "sent")
    assert delivery["attempts"][0]["answer"] == "x" * 1000
    assert len(sent) < 1000


def drip(handler, _number):
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    with suppress(OSError):
        while True:
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)


@contextmanager
def answer_raw(answer):
    """Run a server that answers each connection by a function of its socket; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def serve():
            while not ended.is_set():
                with suppress(OSError):
                    connection, _ = server.accept()
                    with connection:
                        answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def drip_bytes(connection):
    """Send a TLS record one byte at a time, without an end."""
    connection.sendall(b"\x16\x03\x03\x40\x00")
    while True:
        connection.sendall(b"\x00")
        time.sleep(0.05)


def test_a_receiver_that_answers_too_slowly_is_given_up_in_time(admin, receiver):
    receiver.answer = drip
    with answer_raw(drip_bytes) as port:
        cases = {"an answer in drops": receiver.url(), "a handshake in drops": f"https://127.0.0.1:{port}/"}
        for name, url in cases.items():
            webhook = add_webhook(admin, url)
            began = time.monotonic()
            ping(admin, webhook)
            assert read_error(admin, webhook) == "The host did not answer in time.", name
            assert time.monotonic() - began < 15, name
            assert admin.call("DELETE", f"/webhooks/{webhook['id']}").status_code == 204


def test_broken_answers_are_errors_that_an_admin_understands(admin, tmp_path):
    def answer(content):
        def write(connection):
            connection.recv(65536)
            connection.sendall(content)

        return write

    cases = {
        b"": "ended early",
        b"220 mail.example ESMTP\r\n": "not HTTP",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort": "ended early",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n": "ended early",
        b"HTTP/1.1 99999 OK\r\n\r\n": "not HTTP",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n": "not HTTP",
    }
    wrong = {}
    for content, part in cases.items():
        with answer_raw(answer(content)) as port:
            webhook = add_webhook(admin, f"http://127.0.0.1:{port}/")
            ping(admin, webhook)
            error = read_error(admin, webhook)
            if part not in error:
                wrong[content[:40]] = error
            admin.call("DELETE", f"/webhooks/{webhook['id']}")
    assert wrong == {}


def test_a_certificate_that_is_not_trusted_is_a_failure(admin, receiver, tmp_path):
    for name, content in zip(("cert.pem", "key.pem"), make_certificate(None), strict=True):
        (tmp_path / name).write_bytes(content)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    receiver.server.server.socket = tls.wrap_socket(receiver.server.server.socket, server_side=True)
    webhook = add_webhook(admin, receiver.url().replace("http:", "https:"))
    ping(admin, webhook)
    assert read_error(admin, webhook).startswith("TLS failed: ")
    assert "certificate" in read_error(admin, webhook)
    assert receiver.messages == []


def test_a_closed_port_and_an_unknown_host_are_named(admin):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        cases = {
            f"http://127.0.0.1:{port}/?token=hidden": f"127.0.0.1 on port {port}",
            "http://shop.invalid/?token=hidden": "The host name shop.invalid is not known.",
        }
        for url, part in cases.items():
            webhook = add_webhook(admin, url)
            ping(admin, webhook)
            error = read_error(admin, webhook)
            assert part in error
            assert "hidden" not in error


def test_the_delivery_log_has_no_secret_that_an_answer_repeats(database, admin, receiver):
    webhook = add_webhook(admin, receiver.url())
    # Secrets with slashes, which some programs escape in JSON.
    secrets = ["whsec_" + base64.b64encode(bytes([255, number] * 16)).decode() for number in (1, 2)]
    run_sql(
        database,
        "UPDATE webhooks SET secret = :secret, old_secret = :old, old_until = now() + interval '1 day'",
        secret=secrets[0],
        old=secrets[1],
    )

    def echo(handler, _number):
        lines = [f"{name}: {value}" for name, value in handler.headers.items()]
        escaped = [each.replace("/", "\\/") for each in secrets]
        bare = [each.removeprefix("whsec_") for each in secrets]
        told = [*secrets, *escaped, *bare, "Authorization: Basic aGlkZGVuOmhpZGRlbg==", "4242424242424242"]
        answer_with(handler, 500, content="\n".join(["seen", "\0", *told, *lines]).encode())

    receiver.answer = echo
    ping(admin, webhook)
    receiver.wait_for(1)
    [delivery] = wait_for(lambda: [each for each in list_deliveries(admin, webhook) if each["attempts"]])
    answer = delivery["attempts"][0]["answer"]
    assert answer.startswith("seen")
    assert f"webhook-id: {delivery['id']}" in answer
    signatures = [
        each.partition(",")[2] for each in receiver.messages[0].headers["webhook-signature"].split()
    ]
    bare = [each.removeprefix("whsec_") for each in secrets]
    hidden = [*bare, *signatures, "aGlkZGVu", "4242424242424242"]
    assert [each for each in hidden if each in answer or each.replace("/", "\\/") in answer] == []


def test_what_a_receiver_answers_is_not_logged(admin, receiver, caplog):
    webhook = add_webhook(admin, receiver.url())
    receiver.statuses["/hook"], receiver.content = [500], b"ada@example.com of 1 Long Lane"
    with caplog.at_level(logging.INFO):
        ping(admin, webhook)
        wait_for_state(admin, webhook, "sent")
    records = [vars(each) for each in caplog.records if each.name == "shared.courier"]
    assert [each["status"] for each in records] == [500, 204]
    assert "Long Lane" not in str(records)


def test_additions_at_the_same_time_make_no_more_than_twenty(app, auth, admin):
    for _ in range(18):
        add_webhook(admin, "https://93.184.216.34/")
    statuses = []

    def add():
        body = {"url": "https://93.184.216.34/", "events": ["*"]}
        admin_too = Buyer(app, auth, "boss", role="admin")
        statuses.append(admin_too.call("POST", "/webhooks", json=body).status_code)

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 2 + [409] * 4
