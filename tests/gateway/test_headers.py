"""Headers that the gateway adds to requests and responses, or removes from them."""

import re
from datetime import datetime

import pytest

from tests.gateway.harness import Gateway

pytestmark = pytest.mark.shop

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CLAIMED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Server": "evil.example",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6",
    "X-Service-Authorization": "Bearer stolen",
    "X_Service_Authorization": "Bearer stolen",
}
EVERYWHERE = [
    "/products",
    "/auth",
    "/auth/me",
    "/.well-known/jwks.json",
    "/healthz/logs-service",
    "/docs/orders.json",
]


@pytest.mark.parametrize("path", EVERYWHERE)
def test_a_client_s_claims_about_its_address_are_overwritten_or_dropped(gateway: Gateway, path: str) -> None:
    host = f"shop.example:{gateway.port}"
    got = gateway.call(path, headers={**CLAIMED, "Host": host}).json["headers"]
    assert got["x-forwarded-for"] == "127.0.0.1"
    assert got["x-forwarded-proto"] == "http"
    assert got["x-forwarded-host"] == got["host"] == host
    dropped = ["x-forwarded-port", "x-forwarded-prefix", "x-forwarded-server", "x-real-ip", "forwarded"]
    for name in [*dropped, "x-service-authorization", "x_service_authorization"]:
        assert name not in got


def test_a_client_s_token_and_cookies_are_passed_on(gateway: Gateway) -> None:
    cookies = {
        "token=mine": "token=mine",
        "refresh=sfr_mine": "refresh=sfr_mine",
        "refresh=sfr_mine; token=mine": "token=mine; refresh=sfr_mine",
        "theme=dark": None,
    }
    wrong = {}
    for sent, expected in cookies.items():
        headers = {"Authorization": "Bearer mine", "Cookie": sent}
        got = gateway.call("/products", headers=headers).json["headers"]
        if (got["authorization"], got.get("cookie")) != ("Bearer mine", expected):
            wrong[sent] = got
    assert wrong == {}


def test_several_cookie_headers_reach_the_service_as_one(gateway: Gateway) -> None:
    lines = ["Host: localhost", "Cookie: theme=dark; refresh=r", "Cookie: token=mine", "Connection: close"]
    for path in EVERYWHERE:
        answer = gateway.send("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]))
        assert answer.json["headers"]["cookie"] == "token=mine; refresh=r", path


@pytest.mark.parametrize("own", ["a", "Order-17_b.c", "x" * 128])
def test_a_well_formed_request_id_is_kept(gateway: Gateway, own: str) -> None:
    answer = gateway.call("/products", headers={"X-Request-ID": own})
    assert answer.json["headers"]["x-request-id"] == own
    assert answer.headers["x-request-id"] == own


@pytest.mark.parametrize("own", ["", "x" * 129, "with space", 'quote"', "a,b", "ä", "<b>", "a/b"])
def test_any_other_request_id_is_replaced(gateway: Gateway, own: str) -> None:
    answer = gateway.call("/products", headers={"X-Request-ID": own})
    made = answer.json["headers"]["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert answer.headers["x-request-id"] == made


def test_two_request_ids_are_replaced(gateway: Gateway) -> None:
    answer = gateway.send(
        "GET /products HTTP/1.1\r\nHost: localhost\r\n"
        "X-Request-ID: a\r\nX-Request-ID: b\r\nConnection: close\r\n\r\n"
    )
    assert re.fullmatch("[0-9a-f]{32}", answer.json["headers"]["x-request-id"])


@pytest.mark.parametrize(
    ("sent", "onward"),
    [
        (f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"cc-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"),
        (f"cc-{TRACE}-{SPAN}-01-more", f"00-{TRACE}-{SPAN}-01"),
    ],
)
def test_a_valid_trace_is_continued_with_its_state(gateway: Gateway, sent: str, onward: str) -> None:
    got = gateway.call("/products", headers={"traceparent": sent, "tracestate": "a=1"}).json["headers"]
    assert (got["traceparent"], got["tracestate"]) == (onward, "a=1")


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "nonsense",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01more",
    ],
)
def test_an_invalid_trace_is_replaced_and_its_state_is_dropped(gateway: Gateway, sent: str) -> None:
    got = gateway.call("/products", headers={"traceparent": sent, "tracestate": "a=1"}).json["headers"]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", got["traceparent"])
    assert TRACE not in got["traceparent"]
    assert "tracestate" not in got


@pytest.mark.parametrize("path", ["/", "/products", "/auth", "/nowhere", "/healthz", "/products/refusal"])
def test_every_response_has_the_security_headers_once(gateway: Gateway, path: str) -> None:
    headers = gateway.call(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["server"] == "nginx"
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])


def test_json_is_compressed_on_request_but_never_if_it_contains_a_token(gateway: Gateway) -> None:
    long = {"Accept-Encoding": "gzip", "X-Long": "x" * 2000}
    assert gateway.call("/orders", headers=long).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in gateway.call("/auth", headers=long).headers
    assert "content-encoding" not in gateway.call("/auth/refresh", headers=long).headers


def test_the_access_record_names_the_replica_and_omits_the_query(gateway: Gateway) -> None:
    sent = {"X-Request-ID": "logged-1", "traceparent": f"00-{TRACE}-{SPAN}-01"}
    gateway.call("/products/7?token=whispered", "DELETE", headers=sent)
    record = gateway.record("logged-1")
    assert (record["service"], record["level"]) == ("gateway", "INFO")
    assert record["message"] == "DELETE /products/7 200"
    assert record["trace_id"] == TRACE
    assert datetime.fromisoformat(record["time"]).utcoffset() is not None
    assert record["time"].endswith("+00:00")
    attributes = record["attributes"]
    assert attributes["http.response.status_code"] == 200
    assert isinstance(attributes["duration_ms"], int)
    assert attributes["upstream.address"] == gateway.upstreams["catalog"].address
    assert "whispered" not in gateway.log.read_text()


def test_the_access_record_of_an_error_has_the_original_method_and_path(gateway: Gateway) -> None:
    gateway.call("/nowhere", "POST", headers={"X-Request-ID": "logged-2"}, body="{}")
    assert gateway.record("logged-2")["message"] == "POST /nowhere 404"


def test_possible_secrets_in_a_path_are_not_recorded(gateway: Gateway) -> None:
    gateway.call("/nowhere/4111111111111111/x", headers={"X-Request-ID": "logged-3"})
    assert gateway.record("logged-3")["attributes"]["url.path"] == "/nowhere/[redacted]"
    gateway.call("/nowhere/eyJhbGciOiJFUzI1NiJ9.e30.x?y", headers={"X-Request-ID": "logged-4"})
    assert gateway.record("logged-4")["message"] == "GET /nowhere/[redacted] 404"
    gateway.call("/auth/clients/sfc_0123456789abcdefghij/x", headers={"X-Request-ID": "logged-5"})
    assert gateway.record("logged-5")["attributes"]["url.path"] == "/auth/clients/[redacted]"


def test_the_recorded_path_and_method_are_truncated(gateway: Gateway) -> None:
    long = "/nowhere/" + "abcdefghi-" * 700
    token = "eyJhbGciOiJFUzI1NiJ9.e30.x"
    cases = {
        ("GET", long): long[:256],
        ("GET", f"{long[:240]}/{token}"): f"{long[:240]}/[redacted]",
        ("GET", f"{long[:254]}/{token}"): f"{long[:254]}/[",
        ("GET", f"{long[:247]}4111111111111111"): f"{long[:247]}[redacted",
        ("GET", f"{long[:300]}{token}?{long}"): long[:256],
        ("M" * 5000, "/nowhere"): "/nowhere",
    }
    wrong = {}
    for number, ((method, path), expected) in enumerate(cases.items()):
        gateway.call(path, method, headers={"X-Request-ID": f"cut-{number}"})
        attributes = gateway.record(f"cut-{number}")["attributes"]
        if (attributes["url.path"], attributes["http.request.method"]) != (expected, method[:16]):
            wrong[path[:300]] = attributes
    assert wrong == {}


def test_health_checks_are_recorded_only_if_they_fail(gateway: Gateway) -> None:
    gateway.call("/healthz", headers={"X-Request-ID": "poll-1"})
    gateway.call("/healthz/auth-service", headers={"X-Request-ID": "poll-2"})
    gateway.call("/healthz/no-service", headers={"X-Request-ID": "poll-3"})
    assert gateway.record("poll-3")["attributes"]["http.response.status_code"] == 404
    assert "poll-1" not in gateway.log.read_text()
    assert "poll-2" not in gateway.log.read_text()
