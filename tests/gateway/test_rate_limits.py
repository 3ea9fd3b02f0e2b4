"""Rate limits. Each tested limit is one request per second, with a burst of ten more."""

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.gateway.conftest import Start
from tests.gateway.harness import GATEWAY, Answer, Gateway, write_settings

pytestmark = pytest.mark.shop

AT_ONCE = 1 + 10
RESOURCE_EXHAUSTED = 8  # A google.rpc.Code.
LIMITED = [
    ("RATE_LIMIT_PASSWORDS", "POST /auth", {}),
    ("RATE_LIMIT_PASSWORDS", "POST /auth/register", {"Authorization": "Bearer e30.{}.c2ln"}),
    ("RATE_LIMIT_PASSWORDS", "POST //auth/./password", {"Authorization": "Bearer e30.{}.c2ln"}),
    ("RATE_LIMIT_PASSWORDS", "POST /auth/totp", {"Authorization": "Bearer e30.{}.c2ln"}),
    ("RATE_LIMIT_PASSWORDS", "DELETE /auth/totp", {"Authorization": "Bearer e30.{}.c2ln"}),
    ("RATE_LIMIT_SESSIONS", "POST /auth/guest", {}),
    ("RATE_LIMIT_SESSIONS", "POST /auth/%72efresh", {"Authorization": "Bearer e30.{}.c2ln"}),
    ("RATE_LIMIT_WRITES", "PUT /cart/items/7", {"Authorization": "Bearer e30.{}.c2ln"}),
    ("RATE_LIMIT_WRITES", "POST /orders", {"Authorization": "Bearer e30.{}.c2ln"}),
    ("RATE_LIMIT_WRITES", "POST /orders/7/cancel", {"Cookie": "token=e30.{}.c2ln"}),
    ("RATE_LIMIT_WRITES", "POST /auth/logout", {}),
    ("RATE_LIMIT_TOKEN", "GET /orders", {"Authorization": "Bearer e30.{}.c2ln"}),
    ("RATE_LIMIT_TOKEN", "GET /products", {"Cookie": "token=e30.{}.c2ln"}),
    ("RATE_LIMIT_ANONYMOUS", "GET /images/a.svg", {}),
    ("RATE_LIMIT_ANONYMOUS", "GET /nowhere", {}),
    ("RATE_LIMIT_ANONYMOUS", "GET /products", {"Host": "other.example"}),
    ("RATE_LIMIT_ADDRESS", "GET /images/a.svg", {}),
    ("RATE_LIMIT_ADDRESS", "GET /orders", {"Authorization": "Bearer e30.{}.c2ln"}),
]


class Client:
    """A client with its own address and token, so that the gateway counts its requests separately."""

    def __init__(self, number: int) -> None:
        self.address = f"127.0.1.{number}"
        self.number = number
        self.token = {"Authorization": f"Bearer e30.{number}.c2ln"}

    def call(self, gateway: Gateway, route: str, headers: dict[str, str] | None = None) -> Answer:
        """Send a request to a route, such as `GET /orders`."""
        method, _, path = route.partition(" ")
        return gateway.call(path, method, headers, client=self.address)

    def count_passed(self, gateway: Gateway, route: str, headers: dict[str, str] | None = None) -> int:
        """Send twice as many requests as a burst allows; return how many passed."""
        return sum(self.call(gateway, route, headers).status == 200 for _ in range(2 * AT_ONCE))

    def call_until_refused(
        self, gateway: Gateway, route: str, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send requests until one is refused; return the refusal."""
        began = time.monotonic()
        for passed in range(100 * AT_ONCE):
            answer = self.call(gateway, route, headers)
            if answer.status == 429:
                # One more request passes each second.
                assert AT_ONCE <= passed <= AT_ONCE + 1 + time.monotonic() - began
                return answer
        raise AssertionError(f"{route} is not limited.")


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """The numbers of the clients in this file."""
    return count(1)


@pytest.fixture
def client(numbers: Iterator[int]) -> Client:
    """A new client."""
    return Client(next(numbers))


@pytest.mark.parametrize(("setting", "route", "headers"), LIMITED)
def test_a_client_with_too_many_requests_is_refused(
    start: Start, client: Client, setting: str, route: str, headers: dict[str, str]
) -> None:
    own = {name: value.format(client.number) for name, value in headers.items()}
    answer = client.call_until_refused(start(**{setting: "1"}), route, own)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "too_many_requests"
    assert answer.json["request_id"] == answer.headers["x-request-id"]


def test_too_many_exports_are_refused_in_the_format_of_otlp(start: Start, client: Client) -> None:
    headers = {**client.token, "Content-Type": "application/json"}
    answer = client.call_until_refused(start(RATE_LIMIT_TOKEN="1"), "POST /v1/logs", headers)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["code"] == RESOURCE_EXHAUSTED


def test_a_flood_with_one_token_does_not_affect_other_clients(start: Start, client: Client) -> None:
    gateway = start(RATE_LIMIT_TOKEN="1", RATE_LIMIT_WRITES="1")
    client.call_until_refused(gateway, "POST /orders", client.token)
    for headers in ({"Authorization": "Bearer e30.two.c2ln"}, {"Cookie": "token=e30.three.c2ln"}, {}):
        assert client.call(gateway, "POST /orders", headers).status == 200
    assert client.call(gateway, "GET /orders", {"Authorization": "Bearer e30.two.c2ln"}).status == 200


def test_every_spelling_of_a_token_has_the_same_limits(start: Start, client: Client) -> None:
    gateway = start(RATE_LIMIT_TOKEN="1")
    client.call_until_refused(gateway, "GET /orders", client.token)
    token = f"e30.{client.number}"
    spellings = [
        {"Authorization": f"Bearer {token}.another-signature"},
        {"Authorization": f"Bearer {token}.c2ln="},
        {"Authorization": f"bearer   {token}.c2ln"},
        {"Authorization": f"\tBearer {token}.c2ln"},
        {"Cookie": f"token={token}.c2ln"},
        {"Cookie": f"a=b; token = {token}.c2lm; token=e30.other.c2ln"},
        {"Authorization": "Basic YTpi", "Cookie": f"token={token}.c2ln"},
    ]
    passed = []
    for headers in spellings:
        # One request may pass a second after the last.
        if 429 not in {client.call(gateway, "GET /orders", headers).status for _ in range(3)}:
            passed.append(headers)
    assert passed == []


def test_a_malformed_token_is_counted_as_anonymous(start: Start, client: Client) -> None:
    gateway = start(RATE_LIMIT_ANONYMOUS="1")
    tokens = [{"Authorization": f"Bearer new-{number}"} for number in range(30)]
    assert 429 in [client.call(gateway, "GET /orders", token).status for token in tokens]


def test_an_anonymous_flood_does_not_affect_clients_with_tokens(start: Start, client: Client) -> None:
    gateway = start(RATE_LIMIT_ANONYMOUS="1")
    client.call_until_refused(gateway, "GET /images/a.svg")
    assert client.call(gateway, "GET /orders", client.token).status == 200


def test_reads_and_writes_are_counted_separately(start: Start, client: Client) -> None:
    gateway = start(RATE_LIMIT_WRITES="1", RATE_LIMIT_PASSWORDS="1")
    client.call_until_refused(gateway, "POST /orders", client.token)
    client.call_until_refused(gateway, "POST /auth")
    assert client.count_passed(gateway, "GET /orders", client.token) == 2 * AT_ONCE


def test_a_new_token_for_each_call_does_not_evade_the_limits(start: Start, client: Client) -> None:
    gateway = start(RATE_LIMIT_ADDRESS="1", RATE_LIMIT_PASSWORDS="1")
    tokens = [{"Authorization": f"Bearer e30.new-{number}.c2ln"} for number in range(30)]
    assert 429 in [client.call(gateway, "GET /orders", token).status for token in tokens]
    gateway = start(RATE_LIMIT_PASSWORDS="1")
    assert 429 in [client.call(gateway, "POST /auth", token).status for token in tokens]


def test_the_gateway_s_health_and_a_provider_s_events_are_not_limited(start: Start, client: Client) -> None:
    gateway = start(RATE_LIMIT_ANONYMOUS="1", RATE_LIMIT_ADDRESS="1")
    assert client.count_passed(gateway, "GET /healthz") == 2 * AT_ONCE
    gateway = start(RATE_LIMIT_WRITES="1")
    assert client.count_passed(gateway, "POST /payments/webhooks/stripe") == 2 * AT_ONCE


def test_cache_hits_are_counted_too(start: Start, client: Client) -> None:
    gateway = start(RATE_LIMIT_TOKEN="1")
    catalog = gateway.upstreams["catalog"]
    keeps = {"X-Accel-Expires": "60"}
    catalog.script = lambda seen: (204 if seen.path == "/verdict" else 200, keeps, "one")
    try:
        client.call_until_refused(gateway, "GET /products?q=counted", client.token)
    finally:
        catalog.script = lambda _seen: None
    assert [seen.path for seen in catalog.seen].count("/products?q=counted") == 1


def test_all_limits_can_be_turned_off(start: Start, client: Client) -> None:
    gateway = start(RATE_LIMITS="off", RATE_LIMIT_TOKEN="1", RATE_LIMIT_ADDRESS="1", RATE_LIMIT_PASSWORDS="1")
    assert client.count_passed(gateway, "GET /orders", client.token) == 2 * AT_ONCE
    assert client.count_passed(gateway, "POST /auth") == 2 * AT_ONCE


def test_by_default_a_customer_does_not_reach_a_limit(gateway: Gateway, client: Client) -> None:
    assert [client.call(gateway, "POST /auth").status for _ in range(150)] == [200] * 150
    assert [client.call(gateway, "GET /orders", client.token).status for _ in range(300)] == [200] * 300


def test_an_invalid_setting_stops_the_start_and_is_named(tmp_path: Path) -> None:
    accepted = []
    for name, value in [
        ("RATE_LIMITS", "yes"),
        *[("RATE_LIMIT_TOKEN", value) for value in ("0", "-1", "1.5", "many", "1; evil", "123456", " 5")],
        ("RATE_LIMIT_PASSWORDS", "1r/s"),
        ("CONNECTION_LIMIT", "0"),
    ]:
        done = write_settings(GATEWAY, tmp_path, {name: value})
        explains = done.stderr.startswith(f"Cannot start: {name} is '{value}'; it ")
        if done.returncode != 1 or not explains or done.stderr.count("\n") != 1:
            accepted.append((name, value, done.returncode, done.stderr))
    assert accepted == []
