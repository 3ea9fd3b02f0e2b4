"""The last good copy stays if a product source is slow, wrong or hostile."""

import gzip
import socket
import struct
import time
import tracemalloc
from contextlib import closing, suppress

import pytest
from sqlalchemy import text

from catalog import clients
from catalog.clients import UpstreamClient
from catalog.errors import PageTooLarge, UpstreamFailed
from catalog.sources import UpstreamSource
from catalog.use_cases.source import copy_source
from catalog.use_cases.sync import describe_copy, read_last_sync
from tests.catalog.upstreams import make_due, make_product, serve
from tests.conftest import FakeServer, send_json


@pytest.fixture
def stocked(fake_server, copy, titles):
    """Copy three products before the server misbehaves, and check that they stay."""
    serve(fake_server, [make_product(number) for number in (1, 2, 3)])
    assert copy().added == 3
    yield
    assert titles() == ["Thing 1", "Thing 2", "Thing 3"]


def send_body_slowly(handler, _body):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    send_slowly(handler)


def send_headers_slowly(handler, _body):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    send_slowly(handler)


def send_slowly(handler):
    handler.close_connection = True
    # Until the client closes the connection.
    with suppress(OSError):
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)


def send_nothing(handler, _body):
    handler.close_connection = True
    # Until the client closes the connection.
    with suppress(OSError):
        handler.connection.recv(1)


def reset(handler, _body):
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def answer_html(handler, _body):
    contents = b"<!doctype html><title>Welcome</title>"
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", str(len(contents)))
    handler.end_headers()
    handler.wfile.write(contents)


BOMB = gzip.compress(bytes(1024 * 1024)) * 100  # Concatenated gzip members form one gzip stream.


def send_bomb(handler, _body):
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(BOMB)))
    handler.end_headers()
    handler.close_connection = True
    with suppress(OSError):
        handler.wfile.write(BOMB)


def answer_deep(handler, _body):
    send_json(handler, b'{"products": ' + b"[" * 1_000_000)


MANY = gzip.compress(b'{"products": [' + b"[]," * 300_000 + b"[]]}")


def answer_many(handler, _body):
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(MANY)))
    handler.end_headers()
    handler.wfile.write(MANY)


def answer_number(handler, _body):
    send_json(handler, b'{"products": [' + b"9" * 100_000 + b"]}")


def respond(status, message=b'{"message": "no"}'):
    return lambda handler, _body: send_json(handler, message, status=status)


NO_RESPONSE = "The product source does not respond."
NO_LIST = "The product source did not return a list of products."
TOO_LARGE = "The product source returned a page that is too large."
WRONG_ANSWERS = [
    (reset, NO_RESPONSE),
    (answer_html, NO_LIST),
    (answer_deep, TOO_LARGE),
    (answer_many, TOO_LARGE),
    (answer_number, NO_LIST),
    (respond(500), "no"),
    (respond(429), "no"),
    (respond(404), "no"),
    (respond(401), "no"),
    (respond(304), "The product source returned status 304."),
    (respond(200, b"[]"), NO_LIST),
    (respond(200, b'{"products": {}}'), NO_LIST),
    (respond(200, b""), NO_LIST),
]


@pytest.fixture
def attack(fake_server, copy, titles, database, source, reset_database, monkeypatch):
    """Let a known source respond with `answer`; return the outcome if it is not the expected one."""
    monkeypatch.setattr(clients, "FIRST_BACKOFF", 0.01)

    def attack(answer, detail, attacked=source):
        reset_database()
        serve(fake_server, [make_product(number) for number in (1, 2, 3)])
        assert copy().added == 3
        fake_server.answer = answer
        make_due(database)
        # CPU time of this thread, which does not depend on the load of the machine.
        began = time.thread_time()
        assert copy_source(database, attacked, "USD")
        is_cheap = time.thread_time() - began < 10
        report, remark = read_last_sync(database), describe_copy(database, source)
        found = (report.status, report.detail, titles(), is_cheap, remark.rpartition(" the copy is ")[0])
        kept = ["Thing 1", "Thing 2", "Thing 3"]
        expected = ("failed", detail, kept, True, "The product source has failed once, and")
        return found if found != expected else None

    return attack


def test_an_invalid_response_fails_cheaply_and_the_last_copy_stays(attack):
    found = {number: attack(answer, detail) for number, (answer, detail) in enumerate(WRONG_ANSWERS)}
    assert {number: wrong for number, wrong in found.items() if wrong} == {}


def test_a_slow_upstream_fails_in_time_and_the_last_copy_stays(attack, fake_server):
    # None of these responses ends, so even a slow machine can use such a short timeout.
    hurried = UpstreamSource(UpstreamClient(fake_server.url, None, page_timeout=0.05), "USD", 60)
    found = {
        answer: attack(answer, NO_RESPONSE, hurried)
        for answer in (send_body_slowly, send_headers_slowly, send_nothing)
    }
    assert {answer: wrong for answer, wrong in found.items() if wrong} == {}


def test_a_decompression_bomb_fails_in_time_and_the_last_copy_stays(attack, monkeypatch):
    monkeypatch.setattr(clients, "MAX_PAGE_BYTES", 1024 * 1024)
    assert attack(send_bomb, TOO_LARGE) is None


def test_a_decompression_bomb_is_rejected_without_a_retry(fake_server):
    fake_server.answer = send_bomb
    client = UpstreamClient(fake_server.url, None)
    with pytest.raises(PageTooLarge):
        client.fetch_page(limit=1, skip=0)
    assert len(fake_server.requests) == 1


def test_a_page_with_too_many_values_is_not_decoded(fake_server):
    fake_server.answer = answer_many
    tracemalloc.start()
    with pytest.raises(PageTooLarge):
        UpstreamClient(fake_server.url, None).fetch_page(limit=1, skip=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Decoded, the page would take about 20 MB. Raw, it has 1 MB, and takes twice that while it is assembled.
    assert peak < 6 * 1024 * 1024


def test_a_page_that_arrives_byte_by_byte_is_cut_off_at_the_timeout(fake_server):
    client = UpstreamClient(fake_server.url, None, page_timeout=0.5)
    for answer in (send_headers_slowly, send_body_slowly):
        fake_server.answer = answer
        began = time.monotonic()
        # The page does not end, so an error means that the client cut it off.
        with pytest.raises(UpstreamFailed):
            client.fetch_page(limit=1, skip=0, attempts=1)
        assert time.monotonic() - began > 0.4


@pytest.mark.usefixtures("stocked")
def test_a_redirect_is_not_followed_and_no_other_server_gets_the_token(fake_server, copy):
    with closing(FakeServer()) as elsewhere:

        def redirect(handler, _body):
            handler.send_response(302)
            handler.send_header("Location", f"{elsewhere.url}/products")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        fake_server.answer = redirect
        report = copy()
        assert (report.status, report.detail) == ("failed", "The product source returned status 302.")
        assert elsewhere.requests == []


def test_transient_errors_are_retried_and_permanent_errors_are_not(fake_server, copy, monkeypatch):
    monkeypatch.setattr(clients, "FIRST_BACKOFF", 0.01)
    statuses = iter([500, 429, 200])

    def answer(handler, _body):
        status = next(statuses)
        send_json(handler, b'{"products": [], "total": 0}' if status == 200 else b"{}", status=status)

    fake_server.answer = answer
    assert copy().status == "done"
    assert len(fake_server.requests) == 3
    fake_server.answer = respond(404)
    assert copy().status == "failed"
    assert len(fake_server.requests) == 4


@pytest.mark.parametrize(("wait", "calls"), [("1", 3), ("30", 1), ("Fri, 31 Dec 2099 23:59:59 GMT", 1)])
def test_retry_after_of_the_source_is_respected(fake_server, copy, database, monkeypatch, wait, calls):
    slept = []
    monkeypatch.setattr(clients.time, "sleep", slept.append)

    def answer(handler, _body):
        handler.send_response(429)
        handler.send_header("Retry-After", wait)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    fake_server.answer = answer
    copy()
    assert len(fake_server.requests) == calls
    assert slept == [1.0] * (calls - 1)
    with database.transaction() as connection:
        query = text("SELECT extract(epoch FROM next_attempt_at - now())::float FROM source_copy")
        left = connection.execute(query).scalar()
    assert left > {"1": 0.5, "30": 25}.get(wait, 890)
    assert left < 905


def test_an_upstream_that_dies_during_a_copy_changes_nothing(fake_server, copy, titles):
    serve(fake_server, [make_product(number) for number in range(1, 151)])
    copy()
    serve(fake_server, [make_product(number, title="New") for number in range(1, 151)])
    whole = fake_server.answer

    def die(handler, body):
        if "skip=100" in handler.path:
            reset(handler, body)
        else:
            whole(handler, body)

    fake_server.answer = die
    assert copy().status == "failed"
    assert "New" not in titles()
    fake_server.answer = whole
    assert copy().changed == 150
