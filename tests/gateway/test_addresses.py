"""Which client address a service hears of when there is another proxy in front of the gateway."""

from pathlib import Path

import pytest

from tests.gateway.conftest import Start
from tests.gateway.harness import GATEWAY, Gateway, write_settings

pytestmark = pytest.mark.shop


def _heard(gateway: Gateway, forwarded: str) -> str:
    return gateway.call("/auth/me", headers={"X-Forwarded-For": forwarded}).json["headers"]["x-forwarded-for"]


def test_a_trusted_proxy_is_believed_and_what_came_before_it_is_not(start: Start) -> None:
    gateway = start(TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.1 fd00::/8")
    assert _heard(gateway, "198.51.100.7") == "198.51.100.7"
    # The first is what the client says of itself, the last two are proxies of ours.
    assert _heard(gateway, "6.6.6.6, 198.51.100.7, 10.1.2.3, fd00::1") == "198.51.100.7"
    assert _heard(gateway, "2001:db8::7") == "2001:db8::7"


def test_a_text_that_is_no_address_is_not_taken_for_one(start: Start) -> None:
    gateway = start(TRUSTED_PROXIES="127.0.0.1")
    texts = ["", "nobody", "198.51.100.7.8", "198.51.100.7; evil", "<script>"]
    assert {text: _heard(gateway, text) for text in texts} == dict.fromkeys(texts, "127.0.0.1")


def test_a_proxy_that_is_not_trusted_is_not_believed(start: Start, gateway: Gateway) -> None:
    for other in (gateway, start(TRUSTED_PROXIES="10.0.0.0/8")):
        assert _heard(other, "198.51.100.7") == "127.0.0.1"


def test_limits_and_records_know_the_client_behind_the_proxy(start: Start) -> None:
    gateway = start(TRUSTED_PROXIES="127.0.0.1", RATE_LIMIT_ANONYMOUS="1")
    for _ in range(30):
        gateway.call("/images/a.svg", headers={"X-Forwarded-For": "198.51.100.7"})
    told = {"X-Forwarded-For": "198.51.100.8", "X-Request-ID": "behind-1"}
    assert gateway.call("/images/a.svg", headers=told).status == 200
    assert gateway.call("/images/a.svg", headers={"X-Forwarded-For": "198.51.100.7"}).status == 429
    assert gateway.record("behind-1")["attributes"]["client.address"] == "198.51.100.8"


def test_a_proxy_that_is_no_address_stops_the_start_with_the_name_of_the_setting(tmp_path: Path) -> None:
    accepted = []
    for value in ("proxy.example", "10.0.0.1; evil", "*", "unix:", "/8"):
        done = write_settings(GATEWAY, tmp_path, {"TRUSTED_PROXIES": value})
        if done.returncode != 1 or not done.stderr.startswith("Cannot start: TRUSTED_PROXIES has '"):
            accepted.append((value, done.returncode, done.stderr))
    assert accepted == []
