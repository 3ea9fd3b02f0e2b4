"""The gateway's records for logs-service: one line per request, in one file per minute."""

import re
import socket
from pathlib import Path

import pytest

from tests.gateway.conftest import Start
from tests.gateway.harness import ORDER_ID, PATIENCE, SERVICES, Gateway, run_gateway
from tests.stacks import reserve_port
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

CALLERS = [f"kept-429-{number}" for number in range(30)]  # More than a burst allows.


def read_record(gateway: Gateway, request_id: str) -> dict:
    """Return the only record of a request, once it is written."""
    wait_for(lambda: len(gateway.kept(request_id)) == 1, seconds=PATIENCE)
    return gateway.kept(request_id)[0]


def test_a_request_is_recorded_in_the_file_of_its_minute_as_on_standard_output(gateway: Gateway) -> None:
    gateway.call("/products/7?token=secret", headers={"X-Request-ID": "kept-1"})
    record = read_record(gateway, "kept-1")
    assert record == gateway.record("kept-1")
    minute = record["time"][:16].replace(":", "-")
    assert f"{minute}.log" in {file.name for file in gateway.records.iterdir()}
    assert "secret" not in str(record)
    assert re.fullmatch("[0-9a-f]{32}", record["attributes"]["nginx.request_id"])
    assert record["attributes"]["http.request.size"] > 0


def test_the_record_of_a_new_order_has_the_id_from_orders_service(gateway: Gateway) -> None:
    gateway.call("/orders", "POST", headers={"X-Request-ID": "kept-2"}, body="{}")
    assert read_record(gateway, "kept-2")["order_id"] == ORDER_ID


@pytest.mark.parametrize(
    ("path", "order_id"),
    [
        (f"/orders/{ORDER_ID}", ORDER_ID),
        (f"/orders/{ORDER_ID}/cancel?x=1", ORDER_ID),
        (f"/orders/{ORDER_ID}0", ""),
        ("/orders/7", ""),
        (f"/payments/{ORDER_ID}", ""),
    ],
)
def test_the_record_of_an_old_order_has_the_id_from_the_path(
    gateway: Gateway, path: str, order_id: str
) -> None:
    request_id = f"kept-{re.sub('[^a-z0-9]', '', path)}"
    gateway.call(path, headers={"X-Request-ID": request_id})
    assert read_record(gateway, request_id)["order_id"] == order_id


def test_the_gateway_s_own_errors_are_recorded_too(gateway: Gateway) -> None:
    gateway.call("/nowhere", headers={"X-Request-ID": "kept-404"})
    gateway.call("/auth", "POST", headers={"X-Request-ID": "kept-413"}, body="x" * (1024 * 1024 + 1))
    gateway.send("GET /products HTTP/1.1\r\nX-Request-ID: kept-400\r\nConnection: close\r\n\r\n")
    for status in (400, 404, 413):
        record = read_record(gateway, f"kept-{status}")
        assert record["attributes"]["http.response.status_code"] == status


def test_rate_limited_requests_are_recorded_too(start: Start) -> None:
    gateway = start(RATE_LIMIT_ANONYMOUS="1")
    answers = {name: gateway.call("/images/a.svg", headers={"X-Request-ID": name}) for name in CALLERS}
    refused = [name for name, answer in answers.items() if answer.status == 429]
    assert refused
    for name in refused:
        assert read_record(gateway, name)["attributes"]["http.response.status_code"] == 429


def test_requests_that_reached_no_replica_are_recorded_too(nginx: str, tmp_path: Path) -> None:
    away = dict.fromkeys(SERVICES, f"127.0.0.1:{reserve_port()}")
    with run_gateway(nginx, tmp_path / "gateway", away) as gateway:
        gateway.call("/orders/7", headers={"X-Request-ID": "kept-502"})
        record = read_record(gateway, "kept-502")
    assert record["attributes"]["http.response.status_code"] == 502
    assert record["level"] == "ERROR"


def test_health_checks_and_exports_are_recorded_only_if_they_fail(gateway: Gateway) -> None:
    gateway.call("/healthz", headers={"X-Request-ID": "kept-3"})
    gateway.call("/v1/logs", "POST", headers={"X-Request-ID": "kept-4"}, body="{}")
    gateway.call("/v1/logs", "POST", headers={"X-Request-ID": "kept-5"}, body="x" * (8 * 1024 * 1024 + 1))
    assert read_record(gateway, "kept-5")["attributes"]["http.response.status_code"] == 413
    assert gateway.kept("kept-3") == gateway.kept("kept-4") == []


def test_invalid_utf_8_does_not_break_a_record(gateway: Gateway) -> None:
    gateway.send(
        'GET /a"b%0a%22\xff\x01 HTTP/1.1\r\nHost: localhost\r\n'
        "X-Request-ID: kept-6\r\nConnection: close\r\n\r\n"
    )
    gateway.call('/nowhere/"%0a\\', headers={"X-Request-ID": "kept-7"})
    assert read_record(gateway, "kept-7")["attributes"]["url.path"] == '/nowhere/"%0a\\'


def test_requests_succeed_even_if_records_cannot_be_written(gateway: Gateway) -> None:
    hidden = gateway.records.with_name("hidden")
    gateway.records.rename(hidden)
    try:
        assert gateway.call("/products").status == 200
    finally:
        hidden.rename(gateway.records)


def test_an_event_is_sent_at_once_and_uncompressed(gateway: Gateway) -> None:
    release = gateway.upstreams["logs"].release
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE) as connection:
        connection.sendall(
            b"GET /logs/stream HTTP/1.1\r\nHost: localhost\r\n"
            b"Accept-Encoding: gzip\r\nConnection: close\r\n\r\n"
        )
        received = b""
        while b"at once" not in received:
            received += connection.recv(4096)
        assert b"later" not in received
        assert b"Content-Encoding" not in received
        release.set()
        while part := connection.recv(4096):
            received += part
    release.clear()
    assert b"data: later" in received
