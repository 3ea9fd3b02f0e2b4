"""The client address that services get if the gateway is behind a proxy."""

from pathlib import Path

import pytest

from tests.gateway.conftest import Start
from tests.gateway.harness import GATEWAY, Gateway, write_settings

pytestmark = pytest.mark.shop


def _heard(gateway: Gateway, forwarded: str) -> str:
    return gateway.call("/auth/me", headers={"X-Forwarded-For": forwarded}).json["headers"]["x-forwarded-for"]


def test_the_address_from_a_trusted_proxy_is_used_and_earlier_ones_are_not(start: Start) -> None:
    gateway = start(TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.1 fd00::/8")
    assert _heard(gateway, "198.51.100.7") == "198.51.100.7"
    # The client claims the first address; the last two are trusted proxies.
    assert _heard(gateway, "6.6.6.6, 198.51.100.7, 10.1.2.3, fd00::1") == "198.51.100.7"
    assert _heard(gateway, "2001:db8::7") == "2001:db8::7"


def test_a_text_that_is_not_an_address_is_ignored(start: Start) -> None:
    gateway = start(TRUSTED_PROXIES="127.0.0.1")
    texts = ["", "client", "198.51.100.7.8", "198.51.100.7; evil", "<script>"]
    assert {text: _heard(gateway, text) for text in texts} == dict.fromkeys(texts, "127.0.0.1")


def test_the_address_from_an_untrusted_proxy_is_ignored(start: Start, gateway: Gateway) -> None:
    for other in (gateway, start(TRUSTED_PROXIES="10.0.0.0/8")):
        assert _heard(other, "198.51.100.7") == "127.0.0.1"


def test_limits_and_records_use_the_address_of_the_client_behind_the_proxy(start: Start) -> None:
    gateway = start(TRUSTED_PROXIES="127.0.0.1", RATE_LIMIT_ANONYMOUS="1")
    for _ in range(30):
        gateway.call("/images/a.svg", headers={"X-Forwarded-For": "198.51.100.7"})
    headers = {"X-Forwarded-For": "198.51.100.8", "X-Request-ID": "behind-1"}
    assert gateway.call("/images/a.svg", headers=headers).status == 200
    assert gateway.call("/images/a.svg", headers={"X-Forwarded-For": "198.51.100.7"}).status == 429
    assert gateway.record("behind-1")["attributes"]["client.address"] == "198.51.100.8"


def test_an_invalid_proxy_address_stops_the_start_and_names_the_setting(tmp_path: Path) -> None:
    accepted = []
    for value in ("proxy.example", "10.0.0.1; evil", "*", "unix:", "/8"):
        done = write_settings(GATEWAY, tmp_path, {"TRUSTED_PROXIES": value})
        if done.returncode != 1 or not done.stderr.startswith("Cannot start: TRUSTED_PROXIES has '"):
            accepted.append((value, done.returncode, done.stderr))
    assert accepted == []
