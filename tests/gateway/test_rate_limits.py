"""Who is told to wait, and who is not; each limit in turn is one call a second, and so ten at once."""

from collections import Counter
from pathlib import Path

import pytest

from tests.gateway.conftest import Start
from tests.gateway.harness import GATEWAY, Gateway, write_settings

AT_ONCE = 1 + 10
TOKEN = {"Authorization": "Bearer one"}
RESOURCE_EXHAUSTED = 8  # Of google.rpc.Code.


def _flood(gateway: Gateway, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> int:
    """Call twice as often as is let through at once; return how many were, of which the first surely."""
    statuses = Counter(gateway.call(path, method, headers).status for _ in range(2 * AT_ONCE))
    assert set(statuses) <= {200, 429}
    return statuses[200]


@pytest.mark.parametrize(
    ("setting", "path", "method", "headers"),
    [
        ("RATE_LIMIT_PASSWORDS", "/auth", "POST", {}),
        ("RATE_LIMIT_PASSWORDS", "/auth/register", "POST", TOKEN),
        ("RATE_LIMIT_PASSWORDS", "//auth/./password", "POST", TOKEN),
        ("RATE_LIMIT_SESSIONS", "/auth/guest", "POST", {}),
        ("RATE_LIMIT_SESSIONS", "/auth/%72efresh", "POST", TOKEN),
        ("RATE_LIMIT_WRITES", "/cart/items/7", "PUT", TOKEN),
        ("RATE_LIMIT_WRITES", "/orders", "POST", TOKEN),
        ("RATE_LIMIT_WRITES", "/orders/7/cancel", "POST", {"Cookie": "token=one"}),
        ("RATE_LIMIT_WRITES", "/auth/logout", "POST", {}),
        ("RATE_LIMIT_TOKEN", "/orders", "GET", TOKEN),
        ("RATE_LIMIT_TOKEN", "/products", "GET", {"Cookie": "__Host-token=one"}),
        ("RATE_LIMIT_ANONYMOUS", "/images/a.svg", "GET", {}),
        ("RATE_LIMIT_ADDRESS", "/images/a.svg", "GET", {}),
        ("RATE_LIMIT_ADDRESS", "/orders", "GET", TOKEN),
    ],
)
def test_whoever_calls_too_often_is_told_to_wait(
    start: Start, setting: str, path: str, method: str, headers: dict[str, str]
) -> None:
    gateway = start(**{setting: "1"})
    assert AT_ONCE <= _flood(gateway, path, method, headers) < AT_ONCE + 5
    answer = gateway.call(path, method, headers)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "too_many_requests"
    assert answer.json["request_id"] == answer.headers["x-request-id"]


def test_whoever_exports_too_often_is_told_so_as_otlp_wants_it(start: Start) -> None:
    gateway = start(RATE_LIMIT_TOKEN="1")
    headers = {**TOKEN, "Content-Type": "application/json"}
    assert AT_ONCE <= _flood(gateway, "/v1/logs", "POST", headers) < AT_ONCE + 5
    answer = gateway.call("/v1/logs", "POST", headers)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["code"] == RESOURCE_EXHAUSTED


def test_a_flood_with_one_token_leaves_other_tokens_and_strangers_alone(start: Start) -> None:
    gateway = start(RATE_LIMIT_TOKEN="1", RATE_LIMIT_WRITES="1")
    _flood(gateway, "/orders", "POST", TOKEN)
    for headers in ({"Authorization": "Bearer two"}, {"Cookie": "token=three"}, {}):
        assert gateway.call("/orders", "POST", headers).status == 200
    assert gateway.call("/orders", "GET", {"Authorization": "Bearer two"}).status == 200


def test_a_flood_without_a_token_leaves_those_with_one_alone(start: Start) -> None:
    gateway = start(RATE_LIMIT_ANONYMOUS="1")
    _flood(gateway, "/images/a.svg")
    assert gateway.call("/orders", "GET", TOKEN).status == 200


def test_reading_and_writing_are_counted_apart(start: Start) -> None:
    gateway = start(RATE_LIMIT_WRITES="1", RATE_LIMIT_PASSWORDS="1")
    _flood(gateway, "/orders", "POST", TOKEN)
    _flood(gateway, "/auth", "POST")
    assert _flood(gateway, "/orders", "GET", TOKEN) == 2 * AT_ONCE


def test_a_new_token_for_each_call_is_no_way_round(start: Start) -> None:
    gateway = start(RATE_LIMIT_ADDRESS="1", RATE_LIMIT_PASSWORDS="1")
    statuses = [gateway.call("/orders", "GET", {"Authorization": f"Bearer {n}"}).status for n in range(30)]
    assert 429 in statuses
    statuses = [gateway.call("/auth", "POST", {"Authorization": f"Bearer {n}"}).status for n in range(30)]
    assert set(statuses[15:]) == {429}


def test_the_gateway_s_own_health_and_a_provider_s_events_are_never_refused(start: Start) -> None:
    gateway = start(RATE_LIMIT_ANONYMOUS="1", RATE_LIMIT_ADDRESS="1")
    assert _flood(gateway, "/healthz") == 2 * AT_ONCE
    gateway = start(RATE_LIMIT_WRITES="1")
    assert _flood(gateway, "/payments/webhooks/stripe", "POST") == 2 * AT_ONCE


def test_what_is_answered_from_the_cache_is_counted_too(start: Start) -> None:
    gateway = start(RATE_LIMIT_TOKEN="1")
    assert _flood(gateway, "/products", "GET", TOKEN) < 2 * AT_ONCE


def test_all_limits_can_be_turned_off(start: Start) -> None:
    gateway = start(RATE_LIMITS="off", RATE_LIMIT_TOKEN="1", RATE_LIMIT_ADDRESS="1", RATE_LIMIT_PASSWORDS="1")
    assert _flood(gateway, "/orders", "GET", TOKEN) == 2 * AT_ONCE
    assert _flood(gateway, "/auth", "POST") == 2 * AT_ONCE


def test_by_default_nobody_who_shops_meets_a_limit(start: Start) -> None:
    gateway = start()
    assert [gateway.call("/auth", "POST").status for _ in range(150)] == [200] * 150
    assert [gateway.call("/orders", "GET", TOKEN).status for _ in range(300)] == [200] * 300


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE_LIMITS", "yes"),
        *[("RATE_LIMIT_TOKEN", value) for value in ("0", "-1", "1.5", "many", "1; evil", "123456", " 5")],
        ("RATE_LIMIT_PASSWORDS", "1r/s"),
        ("CONNECTION_LIMIT", "0"),
    ],
)
def test_a_setting_that_makes_no_sense_stops_the_start_with_its_name(
    tmp_path: Path, name: str, value: str
) -> None:
    done = write_settings(GATEWAY, tmp_path, {name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"Cannot start: {name} is '{value}'; it ")
    assert done.stderr.count("\n") == 1
