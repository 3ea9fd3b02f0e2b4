"""Access of pages from other origins (CORS)."""

from pathlib import Path

import pytest

from tests.gateway.conftest import Start
from tests.gateway.harness import GATEWAY, Gateway, write_settings

pytestmark = pytest.mark.shop

ORIGIN = "https://app.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture(scope="module")
def open_gateway(start: Start) -> Gateway:
    """Return a gateway that allows two origins."""
    return start(CORS_ORIGINS=f"{ORIGIN}, http://localhost:3000")


def _allowed(headers: object) -> set[str]:
    return {name for name in dict(headers) if name.startswith("access-control-")}  # type: ignore[call-overload]


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000"])
def test_the_gateway_answers_a_browser_s_preflight(open_gateway: Gateway, origin: str) -> None:
    count = len(open_gateway.upstreams["orders"].seen)
    answer = open_gateway.call("/orders", "OPTIONS", {"Origin": origin, **PREFLIGHT})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert "POST" in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {"Authorization", "Content-Type", "Idempotency-Key"} <= set(allowed)
    assert answer.headers["access-control-max-age"] == "600"
    assert len(open_gateway.upstreams["orders"].seen) == count


@pytest.mark.parametrize("path", ["/orders", "/products?limit=3", "/nowhere", "/orders/refusal"])
def test_pages_of_an_allowed_origin_may_read_a_response(open_gateway: Gateway, path: str) -> None:
    headers = open_gateway.call(path, headers={"Origin": ORIGIN, "Authorization": "Bearer one"}).headers
    assert headers["access-control-allow-origin"] == ORIGIN
    assert "X-Request-ID" in headers["access-control-expose-headers"]
    assert "Origin" in headers["vary"]
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "https://app.example.evil", "http://app.example", f"{ORIGIN}:1", ""],
)
def test_other_origins_only_get_vary_origin(open_gateway: Gateway, origin: str) -> None:
    answer = open_gateway.call("/orders", "OPTIONS", {"Origin": origin, **PREFLIGHT})
    assert answer.json["method"] == "OPTIONS"
    assert not _allowed(answer.headers)
    assert "Origin" in answer.headers["vary"]


def test_by_default_no_other_origin_is_allowed(gateway: Gateway) -> None:
    answer = gateway.call("/orders", "OPTIONS", {"Origin": ORIGIN, **PREFLIGHT})
    assert answer.json["method"] == "OPTIONS"
    assert not _allowed(answer.headers)


def test_an_invalid_origin_stops_the_start_and_names_the_setting(tmp_path: Path) -> None:
    accepted = []
    for value in (
        *["*", "app.example", "https://", "https://a.example/", "https://a.example/x"],
        *["https://*.example", "null", "~x"],
    ):
        done = write_settings(GATEWAY, tmp_path, {"CORS_ORIGINS": value})
        if done.returncode != 1 or not done.stderr.startswith("Cannot start: CORS_ORIGINS has '"):
            accepted.append((value, done.returncode, done.stderr))
    assert accepted == []
