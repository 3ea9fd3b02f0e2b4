"""The hosts that the gateway serves. A foreign name that resolves to it (DNS rebinding) is refused."""

import socket
import ssl
from pathlib import Path

import pytest

from tests.gateway.conftest import Start
from tests.gateway.harness import GATEWAY, PATIENCE, Gateway, write_settings
from tools.certificate import make_certificate

pytestmark = pytest.mark.shop

SETTINGS = {
    "PUBLIC_URL": "https://Shop.Example:8443/front?a#b",
    "BIND": "192.0.2.7",
    "ALLOWED_HOSTS": "other.example, THIRD.example.:99  [2001:db8::1]:1,2001:db8::2 my_proxy",
}
SERVED = [
    *["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:99", "[::1]", "[::1]:8080"],
    *["shop.example", "SHOP.example:1", "shop.example.", "shop.example.:443"],
    *["192.0.2.7:8080", "other.example", "third.example:100", "[2001:DB8::1]", "[2001:db8::2]:3", "my_proxy"],
]
REFUSED = [
    *["evil.example", "evil.example:8080", "shop.example.evil.example", "evil-shop.example", "xlocalhost"],
    *["localhost.evil.example", "127.0.0.2", "0.0.0.0", "[::]", "[::2]", "192.0.2.8", "gateway:8080"],
    *["2130706433", "0x7f.1", "127.1", "example", "a.other.example", "_"],
]
PATHS = ["/", "/products", "/auth", "/v1/logs", "/assets/app.js", "/healthz/auth-service", "/docs"]


def _ask(gateway: Gateway, target: str, host: str, version: str = "1.1") -> int:
    """Return the status of a request with this target and Host; check the body of a 421."""
    counts = sum(len(upstream.seen) for upstream in gateway.upstreams.values())
    host_line = f"Host: {host}\r\n" if host else ""
    answer = gateway.send(f"GET {target} HTTP/{version}\r\n{host_line}Connection: close\r\n\r\n")
    if answer.status == 421:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
        problem = answer.json
        assert (problem["code"], problem["title"], problem["status"]) == (
            "misdirected_request",
            "Misdirected Request",
            421,
        )
        assert "ALLOWED_HOSTS" in problem["detail"]
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert sum(len(upstream.seen) for upstream in gateway.upstreams.values()) == counts
    return answer.status


def test_the_gateway_serves_its_hosts_on_any_port_and_no_others(start: Start) -> None:
    gateway = start(**SETTINGS)
    expected = {**dict.fromkeys(SERVED, 200), **dict.fromkeys(REFUSED, 421)}
    assert {host: _ask(gateway, "/products", host) for host in expected} == expected
    # RFC 9112, section 3.2.2: the host of an absolute URI counts.
    # nginx does not accept an underscore in it.
    hosts = [host for host in expected if "_" not in host]
    absolute = {host: _ask(gateway, f"http://{host}/products", "localhost") for host in hosts}
    assert absolute == {host: expected[host] for host in hosts}
    assert _ask(gateway, "http://localhost/products", "evil.example") == 200


def test_other_hosts_are_only_served_the_gateway_s_health(start: Start) -> None:
    gateway = start(**SETTINGS)
    assert {path: _ask(gateway, path, "evil.example") for path in PATHS} == dict.fromkeys(PATHS, 421)
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")
    statuses = {method: gateway.call("/cart", method, {"Host": "evil.example"}).status for method in methods}
    assert statuses == dict.fromkeys(methods, 421)
    for host in (*REFUSED, *SERVED):
        assert _ask(gateway, "/healthz", host) == 200, host
    assert _ask(gateway, "/healthz", "", "1.0") == 200


def test_a_request_without_a_host_is_refused(start: Start) -> None:
    assert _ask(start(**SETTINGS), "/products", "", "1.0") == 421
    assert _ask(start(ALLOWED_HOSTS="*"), "/products", "", "1.0") == 200


def test_by_default_the_gateway_serves_this_machine_and_no_wildcard_address(start: Start) -> None:
    for bind in ("", "0.0.0.0", "::", "[::]"):
        gateway = start(PUBLIC_URL="", BIND=bind)
        hosts = {host: _ask(gateway, "/products", host) for host in ("localhost", "127.0.0.1", "[::1]")}
        assert hosts == dict.fromkeys(hosts, 200)
        refused = {host: _ask(gateway, "/products", host) for host in ("0.0.0.0", "[::]", "shop.example")}
        assert refused == dict.fromkeys(refused, 421)


def test_a_star_serves_every_host(start: Start) -> None:
    gateway = start(ALLOWED_HOSTS="a.example *")
    hosts = (*SERVED, *REFUSED)
    assert {host: _ask(gateway, "/products", host) for host in hosts} == dict.fromkeys(hosts, 200)


def test_a_refused_host_is_recorded(start: Start) -> None:
    gateway = start(**SETTINGS)
    gateway.call("/cart", headers={"Host": "evil.example", "X-Request-ID": "host-1"})
    assert gateway.record("host-1")["attributes"]["http.response.status_code"] == 421


def _ask_in_http_2(gateway: Gateway, authority: str, host: str = "") -> int:
    """Return the status of `GET /products` in HTTP/2 (RFC 9113)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    fields = [(4, "/products"), (1, authority)]
    # Indexed fields for GET and https, then literal ones with indexed names, and Host (RFC 7541, appendix A).
    block = b"\x82\x87" + b"".join(bytes([name, len(value)]) + value.encode() for name, value in fields)
    if host:
        block += bytes([0x0F, 38 - 15, len(host)]) + host.encode()
    settings, headers = b"\0\0\0\x04\0\0\0\0\0", len(block).to_bytes(3, "big") + b"\x01\x05\0\0\0\x01" + block
    raw = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE)
    with context.wrap_socket(raw, server_hostname="shop.example") as line, line.makefile("rb") as stream:
        line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + headers)
        while True:
            frame = stream.read(9)
            payload = stream.read(int.from_bytes(frame[:3], "big"))
            if frame[3] == 1:
                # nginx encodes other statuses as three digits.
                return {0x88: 200, 0x8C: 400}.get(payload[0]) or int(payload[2:5])


def test_the_authority_of_http_2_is_the_host(start: Start, tmp_path: Path) -> None:
    for name, content in zip(("cert.pem", "key.pem"), make_certificate(), strict=True):
        (tmp_path / name).write_bytes(content)
    gateway = start(**SETTINGS, TLS_CERTIFICATES=str(tmp_path))
    expected = {**dict.fromkeys(SERVED, 200), **dict.fromkeys(REFUSED, 421)}
    assert {host: _ask_in_http_2(gateway, host) for host in expected} == expected
    assert _ask_in_http_2(gateway, "evil.example", "shop.example") in {400, 421}


def test_an_invalid_host_stops_the_start_and_names_the_setting(tmp_path: Path) -> None:
    accepted = []
    for name, value in [
        *[("ALLOWED_HOSTS", value) for value in ("https://shop.example", "*.shop.example", ".shop.example")],
        *[
            ("ALLOWED_HOSTS", value)
            for value in ("~.", "a;b", "$host", '"', "[::1", "[x]", "bücher.example", ":80")
        ],
        *[("PUBLIC_URL", value) for value in ("https://", "https://a@shop.example", "https://{x}/", "/path")],
        ("SHOPFLEET_ENV", "staging"),
    ]:
        done = write_settings(GATEWAY, tmp_path, {name: value})
        if done.returncode != 1 or not done.stderr.startswith(f"Cannot start: {name} "):
            accepted.append((name, value, done.stderr))
    assert accepted == []
