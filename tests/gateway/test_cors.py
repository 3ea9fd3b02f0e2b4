"""Which pages of other origins may call the shop."""

from pathlib import Path

import pytest

from tests.gateway.conftest import Start
from tests.gateway.harness import GATEWAY, Gateway, write_settings

ORIGIN = "https://app.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture
def gateway(start: Start) -> Gateway:
    """Return a gateway that knows two origins."""
    return start(CORS_ORIGINS=f"{ORIGIN}, http://localhost:3000")


def _allowed(headers: object) -> set[str]:
    return {name for name in dict(headers) if name.startswith("access-control-")}  # type: ignore[call-overload]


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000"])
def test_a_browser_that_asks_before_is_answered_by_the_gateway(gateway: Gateway, origin: str) -> None:
    count = len(gateway.upstreams["orders"].seen)
    answer = gateway.call("/orders", "OPTIONS", {"Origin": origin, **PREFLIGHT})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert "POST" in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {"Authorization", "Content-Type", "Idempotency-Key"} <= set(allowed)
    assert answer.headers["access-control-max-age"] == "600"
    assert len(gateway.upstreams["orders"].seen) == count


@pytest.mark.parametrize("path", ["/orders", "/products?limit=3", "/nowhere", "/orders/refusal"])
def test_an_answer_may_be_read_by_the_pages_of_that_origin(gateway: Gateway, path: str) -> None:
    headers = gateway.call(path, headers={"Origin": ORIGIN, "Authorization": "Bearer one"}).headers
    assert headers["access-control-allow-origin"] == ORIGIN
    assert "X-Request-ID" in headers["access-control-expose-headers"]
    assert "Origin" in headers["vary"]
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "https://app.example.evil", "http://app.example", f"{ORIGIN}:1", ""],
)
def test_nobody_else_is_told_anything_but_that_it_depends_on_the_origin(
    gateway: Gateway, origin: str
) -> None:
    answer = gateway.call("/orders", "OPTIONS", {"Origin": origin, **PREFLIGHT})
    assert answer.json["method"] == "OPTIONS"
    assert not _allowed(answer.headers)
    assert "Origin" in answer.headers["vary"]


def test_by_default_no_other_origin_is_known(start: Start) -> None:
    answer = start().call("/orders", "OPTIONS", {"Origin": ORIGIN, **PREFLIGHT})
    assert answer.json["method"] == "OPTIONS"
    assert not _allowed(answer.headers)


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "app.example",
        "https://",
        "https://a.example/",
        "https://a.example/x",
        "https://*.example",
        "null",
        "~x",
    ],
)
def test_what_is_no_origin_stops_the_start_with_the_name_of_the_setting(tmp_path: Path, value: str) -> None:
    done = write_settings(GATEWAY, tmp_path, {"CORS_ORIGINS": value})
    assert done.returncode == 1
    assert done.stderr.startswith("Cannot start: CORS_ORIGINS has '")
