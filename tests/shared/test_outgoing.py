"""Requests to URLs that outsiders choose."""

import socket
import time
from contextlib import suppress

import pytest

from shared.outgoing import (
    AddressRefused,
    AnswerTooLarge,
    PrivateAddress,
    SendingFailed,
    check_url,
    is_public,
    is_within,
    origin_of,
    send,
)
from tests.conftest import send_json

LIMITS = {"seconds": 5.0, "most_bytes": 1000}

PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("192.0.0.192", "168.63.129.16", "::ffff:168.63.129.16", "fec0::1", "3fff::1"),
    *("0.0.0.0", "255.255.255.255", "224.0.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00::1", "ff02::1", "2001:db8::1"),
    # IPv4 addresses inside IPv6 addresses.
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"),
    *("2002:7f00:1::", "2001:0:7f00:1::"),
]
PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8"]


def answer_with(*addresses):
    """Return a resolver that answers each question with the next address, and the questions."""
    asked = []

    def resolve(host, port, **_options):
        asked.append((host, port))
        address = addresses[min(len(asked), len(addresses)) - 1]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    return resolve, asked


def test_only_addresses_of_the_internet_are_public():
    assert [address for address in PRIVATE if is_public(address)] == []
    assert [address for address in PUBLIC if not is_public(address)] == []


def test_private_addresses_are_refused_however_the_url_writes_them(fake_server):
    port = fake_server.url.rpartition(":")[2]
    hosts = [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ]
    answers = {}
    for host in hosts:
        try:
            send("GET", f"http://{host}:{port}/", **LIMITS)
        except AddressRefused:
            continue
        except SendingFailed as failed:
            # The resolver does not know this spelling.
            answers[host] = None if isinstance(failed.__cause__, socket.gaierror) else failed
    assert {host: failed for host, failed in answers.items() if failed is not None} == {}
    assert fake_server.requests == []


def test_a_host_with_private_addresses_is_refused(fake_server):
    port = fake_server.url.rpartition(":")[2]
    for address in PRIVATE:
        resolve, _ = answer_with(address.partition("%")[0])
        with pytest.raises(AddressRefused):
            send("GET", f"http://shop.example:{port}/", resolve=resolve, **LIMITS)
    assert fake_server.requests == []


def test_urls_that_are_no_plain_http_addresses_are_refused():
    urls = [
        *(
            "ftp://shop.example/x",
            "file:///etc/passwd",
            "//shop.example/x",
            "/x",
            "",
            "http://",
            "javascript:1",
        ),
        *(
            "http://ada:secret@shop.example/",
            "http://@shop.example/",
            "http://shop.example:99999/",
            "http://[::1/",
        ),
        *("http://shöp.example/", "gopher://shop.example/"),
    ]
    resolve, asked = answer_with("93.184.216.34")
    refused = []
    for url in urls:
        with suppress(AddressRefused):
            send("GET", url, resolve=resolve, **LIMITS)
            continue
        refused.append(url)
    assert (refused, asked) == (urls, [])


def test_the_name_is_resolved_once_and_the_connection_goes_there(fake_server):
    # A hostile name service answers with a public address first, and with a private one after the check.
    fake_server.answer = lambda handler, _body: send_json(handler, b"{}")
    host, port = origin_of(fake_server.url)
    resolve, asked = answer_with(host, "192.0.2.1")
    answer = send(
        "GET",
        f"http://shop.example:{port}/a?b=c",
        allowed=[("shop.example", port)],
        resolve=resolve,
        **LIMITS,
    )
    assert (answer.status, answer.content, asked) == (200, b"{}", [("shop.example", port)])
    [(method, path, headers, _)] = fake_server.requests
    assert (method, path, headers["Host"]) == ("GET", "/a?b=c", f"shop.example:{port}")


def test_an_allowed_origin_is_a_host_with_its_port(fake_server):
    host, port = origin_of(fake_server.url)
    with pytest.raises(AddressRefused):
        send("GET", f"{fake_server.url}/", allowed=[(host, port + 1)], **LIMITS)
    assert origin_of("https://shop.example/x") == ("shop.example", 443)


def test_a_redirect_is_not_followed(fake_server):
    def redirect(handler, _body):
        handler.send_response(302)
        handler.send_header("Location", f"{fake_server.url}/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    fake_server.answer = redirect
    answer = send("GET", f"{fake_server.url}/", allowed=[origin_of(fake_server.url)], **LIMITS)
    assert (answer.status, len(fake_server.requests)) == (302, 1)


def test_a_large_answer_is_refused_without_reading_it_whole(fake_server):
    sent = []

    def flood(handler, _body):
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        with suppress(OSError):
            while len(sent) < 1000:
                handler.wfile.write(b"x" * 100_000)
                sent.append(1)

    fake_server.answer = flood
    with pytest.raises(AnswerTooLarge):
        send("GET", f"{fake_server.url}/", allowed=[origin_of(fake_server.url)], **LIMITS)
    assert len(sent) < 1000


def test_an_answer_in_drops_ends_at_the_deadline(fake_server):
    def drip(handler, _body):
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        with suppress(OSError):
            while True:
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.05)

    fake_server.answer = drip
    began = time.monotonic()
    with pytest.raises(SendingFailed):
        send(
            "GET", f"{fake_server.url}/", allowed=[origin_of(fake_server.url)], seconds=0.3, most_bytes=10**6
        )
    assert time.monotonic() - began < 5


def test_a_host_that_does_not_answer_is_a_failure_to_repeat(fake_server):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(SendingFailed):
            send("GET", f"http://127.0.0.1:{port}/", allowed=[("127.0.0.1", port)], **LIMITS)


def test_the_rest_of_a_large_answer_can_be_cut(fake_server):
    fake_server.answer = lambda handler, _body: send_json(handler, b"x" * 5000)
    allowed = [origin_of(fake_server.url)]
    answer = send("GET", f"{fake_server.url}/", allowed=allowed, cuts=True, **LIMITS)
    assert (answer.status, answer.content) == (200, b"x" * 1000)


def test_a_url_can_be_checked_before_it_is_called():
    def know_nothing(*_asked, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for url, resolve in (
        ("https://shop.example/", answer_with("93.184.216.34")[0]),
        ("https://shop.example/", know_nothing),
    ):
        check_url(url, resolve=resolve)
    with pytest.raises(PrivateAddress):
        check_url("https://shop.example/", resolve=answer_with("10.0.0.1")[0])
    check_url("https://shop.example/", resolve=answer_with("10.0.0.1")[0], allowed=[("shop.example", 443)])
    with pytest.raises(AddressRefused):
        check_url("ftp://shop.example/")


def test_a_failure_is_a_sentence_without_the_url(fake_server):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(SendingFailed) as refused:
            send("GET", f"http://127.0.0.1:{port}/?token=x", allowed=[("127.0.0.1", port)], **LIMITS)
    assert str(refused.value) == f"No connection to 127.0.0.1 on port {port}: Connection refused."
    fake_server.answer = lambda handler, _body: handler.wfile.write(b"220 mail.example ESMTP\r\n")
    with pytest.raises(SendingFailed, match="not HTTP") as broken:
        send("GET", f"{fake_server.url}/?token=x", allowed=[origin_of(fake_server.url)], **LIMITS)
    assert "token" not in str(broken.value)


def test_an_address_is_found_in_a_network_also_inside_ipv6():
    networks = ["169.254.0.0/16", "fe80::/10"]
    within = ["169.254.169.254", "::ffff:169.254.0.1", "fe80::1%eth0"]
    assert [each for each in (*within, "10.0.0.1", "fd00::1") if is_within(each, networks)] == within
