"""Requests that a gateway and a service may interpret differently, and clients that never finish."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.gateway.harness import PATIENCE, Gateway, Seen, Upstream, run_gateway, shorten
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

END = "Connection: close\r\n\r\n"
GET = "GET /auth/me HTTP/1.1\r\nHost: localhost\r\n"
POST = "POST /auth HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = f"{POST}Transfer-Encoding: chunked\r\n{END}"

REFUSED = [
    ("a folded header", f"{GET}X-A: b\r\n X-Service-Authorization: Bearer x\r\n{END}", 400),
    ("a bare CR in a header", f"{GET}X-A: b\rX-Service-Authorization: c\r\n{END}", 400),
    ("a NUL in a header", f"{GET}X-A: b\0c\r\n{END}", 400),
    ("a space before the colon", f"{GET}X-Service-Authorization : b\r\n{END}", 400),
    ("two Authorizations", f"{GET}Authorization: Bearer a\r\nAuthorization: Bearer b\r\n{END}", 400),
    (
        "two transfer encodings",
        f"{POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n{END}",
        400,
    ),
    (
        "chunks in HTTP/1.0",
        f"POST /auth HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{END}",
        400,
    ),
    (
        "chunks before a length",
        f"{POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n{END}0\r\n\r\n",
        400,
    ),
    ("an odd transfer encoding", f"{POST}Transfer-Encoding: xchunked\r\n{END}", 501),
    ("two of them in one", f"{POST}Transfer-Encoding: gzip, chunked\r\n{END}", 501),
    *[
        (f"the length {n}", f"{POST}Content-Length: {n}\r\n{END}x", 400)
        for n in ("+1", "-1", "1, 1", "0x1", "")
    ],
    *[
        (f"a chunk of {size}", f"{CHUNKED}{size}\r\n{{}}\r\n0\r\n\r\n", 400)
        for size in ("zz", "-1", "ffffffffffffffffff", "0x2")
    ],
    *[
        (f"the host {host!r}", f"GET /auth/me HTTP/1.1\r\nHost: {host}\r\n{END}", 400)
        for host in ("a/../internal", "a@evil", "a b", 'a"b', "", "a:x", "a\\b", "[::1", "a\tb")
    ],
    ("a method in small letters", f"get /auth/me HTTP/1.1\r\nHost: localhost\r\n{END}", 400),
    ("a tab in the request line", f"GET\t/auth/me HTTP/1.1\r\nHost: localhost\r\n{END}", 400),
    ("HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("HTTP/3.0", f"GET /auth/me HTTP/3.0\r\nHost: localhost\r\n{END}", 505),
    ("CONNECT", f"CONNECT auth:5000 HTTP/1.1\r\nHost: localhost\r\n{END}", 405),
    (
        "another host's inside",
        f"GET http://auth/internal/signed-off HTTP/1.1\r\nHost: localhost\r\n{END}",
        421,
    ),
]

PASSED = [
    ("bare line feeds", GET.replace("\r", "") + "X-A: b\nConnection: close\n\n"),
    ("an underscore", f"{GET}X_Service_Authorization: b\r\nAuthorization_: c\r\n{END}"),
    ("an upgrade", f"{GET}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"),
    ("a header named as the connection's", f"{GET}Connection: close, X-Request-ID, X-Forwarded-For\r\n\r\n"),
    ("chunks with an extension", f"{CHUNKED}2;a=b\r\n{{}}\r\n0\r\n\r\n"),
    ("chunks with a trailer", f"{CHUNKED}2\r\n{{}}\r\n0\r\nX-Service-Authorization: b\r\n\r\n"),
]


def _reached(gateway: Gateway, text: str) -> tuple[int, list[Seen]]:
    counts = {name: len(upstream.seen) for name, upstream in gateway.upstreams.items()}
    answer = gateway.send(text)
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["request_id"] == answer.headers["x-request-id"]
    upstreams = gateway.upstreams.items()
    return answer.status, [seen for name, upstream in upstreams for seen in upstream.seen[counts[name] :]]


@pytest.mark.parametrize(("text", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_an_ambiguous_request_is_refused_and_reaches_no_service(
    gateway: Gateway, text: str, status: int
) -> None:
    assert _reached(gateway, text) == (status, [])


@pytest.mark.parametrize("text", [row[1] for row in PASSED], ids=[row[0] for row in PASSED])
def test_an_unusual_but_unambiguous_request_arrives_in_canonical_form(gateway: Gateway, text: str) -> None:
    status, [seen] = _reached(gateway, text)
    assert (status, seen.path.startswith("/auth")) == (200, True)
    odd = {"upgrade", "connection", "transfer-encoding", "trailer", "x-service-authorization"}
    assert not {name.replace("_", "-").strip("-") for name in seen.headers} & (odd | {"authorization"})
    assert seen.headers["x-forwarded-for"] == "127.0.0.1"
    assert seen.body == ("{}" if "2" in text.partition("\r\n\r\n")[2] else "")


def test_the_host_of_an_absolute_uri_wins(gateway: Gateway) -> None:
    # RFC 9112, section 3.2.2.
    _status, [seen] = _reached(
        gateway, f"GET http://shop.example/auth/me HTTP/1.1\r\nHost: localhost\r\n{END}"
    )
    assert (seen.path, seen.headers["host"]) == ("/auth/me", "shop.example")


def test_a_pipelined_request_is_a_separate_request(gateway: Gateway) -> None:
    inner = (
        "GET /internal/signed-off HTTP/1.1\r\nHost: localhost\r\nX-Service-Authorization: Bearer x\r\n\r\n"
    )
    count = len(gateway.upstreams["auth"].seen)
    status, [seen] = _reached(gateway, f"{GET}Content-Length: {len(inner)}\r\n\r\n{inner}")
    assert (status, seen.body) == (200, inner)
    assert len(gateway.upstreams["auth"].seen) == count + 1


@pytest.fixture(scope="module")
def hurried(
    nginx: str, upstreams: dict[str, Upstream], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """Return a gateway that waits one second for a client, and allows two connections per address."""
    folder: Path = tmp_path_factory.mktemp("hurried")
    home = shorten(folder / "home", {"client_header_timeout 10s": "1s", "client_body_timeout 15s": "1s"})
    servers = {name: upstream.address for name, upstream in upstreams.items()}
    with run_gateway(nginx, folder / "gateway", servers, home, CONNECTION_LIMIT="2") as gateway:
        yield gateway


def test_a_client_that_never_finishes_its_request_is_disconnected(hurried: Gateway) -> None:
    began = time.monotonic()
    beginnings = ["", "GET /auth/me HT", GET, f"{POST}Content-Length: 100\r\n\r\n{{"]
    held = []
    with ExitStack() as connections:
        lines = []
        for beginning in beginnings:
            line = socket.create_connection(("127.0.0.1", hurried.port), timeout=PATIENCE)
            lines.append(connections.enter_context(line))
            line.sendall(beginning.encode())
        for beginning, line in zip(beginnings, lines, strict=True):
            # Either nothing or a 408 without a body; then the connection is closed.
            if line.recv(65536)[:13] not in {b"", b"HTTP/1.1 408 "} and line.recv(1) != b"":
                held.append(beginning)
    assert held == []
    assert time.monotonic() - began < PATIENCE


def test_a_client_that_sends_its_headers_slowly_is_disconnected(hurried: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", hurried.port), timeout=PATIENCE) as slow:
        slow.sendall(GET.encode())

        def is_gone() -> bool:
            try:
                slow.sendall(b"X-A: b\r\n")
            except OSError:
                return True
            return False

        wait_for(is_gone, seconds=PATIENCE)
    assert hurried.call("/auth/me").status == 200


def test_an_address_with_too_many_open_requests_is_refused_more(
    hurried: Gateway, upstreams: dict[str, Upstream]
) -> None:
    orders = upstreams["orders"]
    orders.release.clear()
    count = len(orders.seen)
    with ExitStack() as open_calls:
        for _ in range(2):
            line = socket.create_connection(("127.0.0.1", hurried.port), timeout=PATIENCE)
            open_calls.enter_context(line)
            line.sendall(b"GET /orders/silence HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for(lambda: len(orders.seen) == count + 2)
        answer = hurried.call("/auth/me")
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert answer.headers["content-type"] == "application/problem+json"
        orders.release.set()
    wait_for(lambda: hurried.call("/auth/me").status == 200)
    orders.release.clear()
