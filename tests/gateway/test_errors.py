"""The gateway's own errors, and its handling of services that do not respond."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status

from tests.gateway.harness import SERVICES, Answer, Gateway, Upstream, run_gateway, shorten
from tests.stacks import reserve_port

pytestmark = pytest.mark.shop

FIELDS = {"type", "title", "status", "detail", "code", "error", "request_id"}
END = "Host: localhost\r\nConnection: close\r\n\r\n"

REFUSALS = [
    ("a broken request line", f"GET /products HTTP/1.x\r\n{END}", 400),
    ("no host", "GET /products HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    ("two hosts", f"GET /products HTTP/1.1\r\nHost: localhost\r\n{END}", 400),
    ("two lengths", f"POST /auth HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n{END}", 400),
    (
        "a length and chunks",
        f"POST /auth HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n{END}",
        400,
    ),
    ("too many headers", "GET /auth HTTP/1.1\r\n" + "".join(f"H{n}: 1\r\n" for n in range(100)) + END, 431),
    ("an unknown path", f"GET /nowhere HTTP/1.1\r\n{END}", 404),
    ("writing to the page", f"POST / HTTP/1.1\r\nContent-Length: 0\r\n{END}", 405),
    ("writing to an asset", f"DELETE /assets/style.css HTTP/1.1\r\n{END}", 405),
    ("TRACE", f"TRACE /products HTTP/1.1\r\n{END}", 405),
    ("a large body", f"POST /auth HTTP/1.1\r\nContent-Length: 1048577\r\n{END}", 413),
    (
        "a large event",
        f"POST /payments/webhooks/stripe HTTP/1.1\r\nContent-Length: 262145\r\n{END}",
        413,
    ),
    ("a long address", f"GET /products?q={'x' * 9000} HTTP/1.1\r\n{END}", 414),
    ("a long header", f"GET /products HTTP/1.1\r\nCookie: {'x' * 9000}\r\n{END}", 431),
    ("an unknown transfer encoding", f"POST /auth HTTP/1.1\r\nTransfer-Encoding: gzip\r\n{END}", 501),
]


def _assert_is_problem(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json
    assert set(body) == FIELDS
    assert body["status"] == status
    assert body["error"] == body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert ("retry-after" in answer.headers) == (status in {502, 503, 504})


@pytest.mark.parametrize(
    ("text", "status"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS]
)
def test_each_error_is_a_problem_with_its_status_and_request_id(
    gateway: Gateway, text: str, status: int
) -> None:
    counts = [len(upstream.seen) for upstream in gateway.upstreams.values()]
    _assert_is_problem(gateway.send(text), status)
    assert [len(upstream.seen) for upstream in gateway.upstreams.values()] == counts


def test_a_405_lists_the_allowed_methods(gateway: Gateway) -> None:
    assert gateway.call("/", "POST").headers["allow"] == "GET, HEAD"


def test_an_error_repeats_the_client_s_request_id_and_nothing_else(gateway: Gateway) -> None:
    answer = gateway.call("/nowhere/<b>", headers={"X-Request-ID": "mine"})
    assert answer.json["request_id"] == "mine"
    assert b"<b>" not in answer.body


def test_an_error_for_head_has_no_body(gateway: Gateway) -> None:
    answer = gateway.call("/nowhere", "HEAD")
    assert (answer.status, answer.body) == (404, b"")


def test_an_import_may_be_larger_than_other_bodies(gateway: Gateway) -> None:
    assert gateway.call("/products/import", "POST", body="x" * 9 * 1024 * 1024).status == 200
    assert gateway.call("/products", "POST", body="x" * 9 * 1024 * 1024).status == 413


def test_a_body_and_an_address_just_below_the_limits_pass(gateway: Gateway) -> None:
    assert gateway.call("/auth", "POST", body="x" * 1024 * 1024).status == 200
    assert gateway.call(f"/products?q={'x' * 8000}").status == 200


def test_a_service_s_own_error_passes_through_unchanged(gateway: Gateway) -> None:
    answer = gateway.call("/products/refusal")
    assert (answer.status, answer.json) == (404, {"code": "own_refusal"})


@pytest.fixture(scope="module")
def down(nginx: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Return a gateway whose services are all down; one has a name that does not exist in the DNS."""
    servers = {name: f"127.0.0.1:{reserve_port()}" for name in SERVICES}
    servers["payments"] = "payments.invalid:5000"
    with run_gateway(nginx, tmp_path_factory.mktemp("down"), servers) as gateway:
        yield gateway


def test_a_service_that_is_down_is_a_502_with_retry_after(down: Gateway) -> None:
    for path in ("/products", "/auth", "/orders/a%0Ab", "/healthz/logs-service", "/docs/orders.json"):
        _assert_is_problem(down.call(path), 502)
    _assert_is_problem(down.call("/auth", "POST", body="{}"), 502)
    # Also if the body is large.
    _assert_is_problem(down.call("/products/import", "POST", body="x" * 9 * 1024 * 1024), 502)


def test_the_error_of_an_export_is_a_status_in_its_own_encoding(down: Gateway) -> None:
    as_json = down.call("/v1/logs", "POST", headers={"Content-Type": "application/json"}, body="{}")
    assert (as_json.status, as_json.headers["content-type"]) == (502, "application/json")
    assert as_json.json == {
        "code": 14,
        "message": "The service could not be reached; try again in a moment.",
    }
    assert as_json.headers["retry-after"] == "1"
    large = "x" * (8 * 1024 * 1024 + 1)
    protobuf = down.call("/v1/logs", "POST", headers={"Content-Type": "application/x-protobuf"}, body=large)
    assert (protobuf.status, protobuf.headers["content-type"]) == (413, "application/x-protobuf")
    assert Status.FromString(protobuf.body) == Status()


def test_the_gateway_starts_and_works_while_all_services_are_down(down: Gateway) -> None:
    assert down.call("/healthz").status == 200
    assert down.call("/").status == 200


def test_a_name_that_does_not_exist_in_the_dns_is_a_502_and_not_a_failed_start(down: Gateway) -> None:
    _assert_is_problem(down.call("/payments"), 502)


@contextmanager
def run_two_replicas(*, drops: bool = False) -> Iterator[tuple[dict[str, str], list[Upstream]]]:
    """Start two replicas for all services; yield the addresses by service, and the replicas."""
    replicas = [Upstream(name, drops=drops) for name in ("one", "two")]
    try:
        yield dict.fromkeys(SERVICES, " ".join(replica.address for replica in replicas)), replicas
    finally:
        for replica in replicas:
            replica.stop()


def test_a_service_that_does_not_respond_in_time_is_a_504_and_is_called_only_once(
    nginx: str, tmp_path: Path
) -> None:
    # The time-outs are 75 times as short.
    times = {"proxy_read_timeout 15s": "200ms", "proxy_next_upstream_timeout 5s": "67ms"}
    home = shorten(tmp_path / "home", times)
    calls = [("GET", "/products/silence"), ("POST", "/auth/silence")]
    with (
        run_two_replicas() as (servers, replicas),
        run_gateway(nginx, tmp_path / "gateway", servers, home) as gateway,
    ):
        for method, path in calls:
            _assert_is_problem(gateway.call(path, method), 504)
        assert sorted((seen.method, seen.path) for replica in replicas for seen in replica.seen) == calls


def test_a_replica_that_refuses_connections_is_skipped(nginx: str, tmp_path: Path) -> None:
    alive = Upstream("alive")
    servers = dict.fromkeys(
        SERVICES, f"127.0.0.1:{reserve_port()} {alive.address} 127.0.0.1:{reserve_port()}"
    )
    try:
        with run_gateway(nginx, tmp_path / "gateway", servers) as gateway:
            for method, body in (("GET", None), ("POST", "{}")):
                for _ in range(9):
                    answer = gateway.call("/products", method, body=body)
                    assert (answer.status, answer.json["service"]) == (200, "alive"), method
    finally:
        alive.stop()


def test_replicas_take_turns(nginx: str, tmp_path: Path) -> None:
    with (
        run_two_replicas() as (servers, replicas),
        run_gateway(nginx, tmp_path / "gateway", servers) as gateway,
    ):
        for _ in range(20):
            assert gateway.call("/products").status == 200
        assert [len(replica.seen) for replica in replicas] == [10, 10]


def test_a_post_whose_connection_breaks_is_retried_only_on_idempotent_routes(
    nginx: str, tmp_path: Path
) -> None:
    twice = ["/auth", "/auth/guest", "/auth/refresh", "/orders", "/v1/logs"]
    once = ["register", "logout", "password", "token", "revoke", "clients", "guest/more"]
    once = [*[f"/auth/{rest}" for rest in once], "/orders/7/refund", "/payments/7/confirm"]
    with (
        run_two_replicas(drops=True) as (servers, replicas),
        run_gateway(nginx, tmp_path / "gateway", servers) as gateway,
    ):
        statuses = {path: gateway.call(path, "POST", body="{}").status for path in [*twice, *once]}
        sent = Counter(seen.path for replica in replicas for seen in replica.seen)
    assert statuses == dict.fromkeys(statuses, 502)
    assert sent == dict.fromkeys(twice, 2) | dict.fromkeys(once, 1)
