"""A product source that is slow, wrong or hostile: the last good copy stays, and one bad product is one."""

import gzip
import socket
import struct
import time
from contextlib import closing, suppress

import pytest
from sqlalchemy import text

from catalog import clients
from catalog.clients import UpstreamClient
from catalog.sources import UpstreamSource
from catalog.use_cases.sync import describe_copy
from tests.catalog.upstreams import make_product, serve
from tests.conftest import FakeServer, send_json


@pytest.fixture
def source(fake_server):
    client = UpstreamClient(fake_server.url, "their token", page_seconds=1.0)
    return UpstreamSource(client, "USD", 60)


@pytest.fixture
def stocked(fake_server, copy, titles):
    """A shop that has copied three products from the server before that goes wrong."""
    serve(fake_server, [make_product(number) for number in (1, 2, 3)])
    assert copy().added == 3
    yield
    assert titles() == ["Thing 1", "Thing 2", "Thing 3"]


def drip_body(handler, _body):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    drip(handler)


def drip_headers(handler, _body):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(handler)


def drip(handler):
    handler.close_connection = True
    with suppress(OSError):
        for _ in range(200):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)


def say_nothing(handler, _body):
    handler.close_connection = True
    # Until the other side has enough of it.
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


BOMB = gzip.compress(bytes(100 * 1024 * 1024), 9)


def bomb(handler, _body):
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(BOMB)))
    handler.end_headers()
    handler.close_connection = True
    with suppress(OSError):
        handler.wfile.write(BOMB)


def answer_deep(handler, _body):
    send_json(handler, b'{"products": ' + b"[" * 1_000_000)


def answer_number(handler, _body):
    send_json(handler, b'{"products": [' + b"9" * 100_000 + b"]}")


def refuse(status, message=b'{"message": "no"}'):
    return lambda handler, _body: send_json(handler, message, status=status)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (drip_body, "The product source does not answer."),
        (drip_headers, "The product source does not answer."),
        (say_nothing, "The product source does not answer."),
        (reset, "The product source does not answer."),
        (answer_html, "The product source did not answer with a list of products."),
        (bomb, "The product source answered with too large a page."),
        (answer_deep, "The product source did not answer with a list of products."),
        (answer_number, "The product source did not answer with a list of products."),
        (refuse(500), "no"),
        (refuse(429), "no"),
        (refuse(404), "no"),
        (refuse(401), "no"),
        (refuse(304), "The product source answered 304."),
        (refuse(200, b"[]"), "The product source did not answer with a list of products."),
        (refuse(200, b'{"products": {}}'), "The product source did not answer with a list of products."),
        (refuse(200, b""), "The product source did not answer with a list of products."),
    ],
)
@pytest.mark.usefixtures("stocked")
def test_an_upstream_that_does_not_answer_as_it_should_fails_in_time(
    fake_server, copy, answer, detail, database, source, monkeypatch
):
    monkeypatch.setattr(clients, "FIRST_WAIT", 0.01)
    fake_server.answer = answer
    began = time.monotonic()
    report = copy()
    assert time.monotonic() - began < 15
    assert (report.status, report.detail) == ("failed", detail)
    assert describe_copy(database, source).startswith("The product source has failed once, and the copy is")


def test_one_page_that_drips_holds_nobody_longer_than_its_time(fake_server):
    client = UpstreamClient(fake_server.url, None, page_seconds=0.5)
    for answer in (drip_headers, drip_body):
        fake_server.answer = answer
        began = time.monotonic()
        with suppress(Exception):
            client.fetch_page(limit=1, skip=0, attempts=1)
        assert 0.4 < time.monotonic() - began < 3


@pytest.mark.usefixtures("stocked")
def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(fake_server, copy):
    with closing(FakeServer()) as elsewhere:

        def redirect(handler, _body):
            handler.send_response(302)
            handler.send_header("Location", f"{elsewhere.url}/products")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        fake_server.answer = redirect
        report = copy()
        assert (report.status, report.detail) == ("failed", "The product source answered 302.")
        assert elsewhere.requests == []


def test_what_may_pass_is_asked_for_again_and_what_will_not_is_not(fake_server, copy, monkeypatch):
    monkeypatch.setattr(clients, "FIRST_WAIT", 0.01)
    statuses = iter([500, 429, 200])

    def answer(handler, _body):
        status = next(statuses)
        send_json(handler, b'{"products": [], "total": 0}' if status == 200 else b"{}", status=status)

    fake_server.answer = answer
    assert copy().status == "done"
    assert len(fake_server.requests) == 3
    fake_server.answer = refuse(404)
    assert copy().status == "failed"
    assert len(fake_server.requests) == 4


@pytest.mark.parametrize(("wait", "calls"), [("1", 3), ("30", 1), ("Fri, 31 Dec 2099 23:59:59 GMT", 1)])
def test_a_source_that_wants_us_to_wait_is_left_alone_that_long(
    fake_server, copy, database, monkeypatch, wait, calls
):
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


def test_an_upstream_that_dies_while_it_is_read_changes_nothing(fake_server, copy, titles):
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
