"""The DNS still lists a replica for a moment after it has stopped, and clients do not notice."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from tests.gateway.harness import PATIENCE, SERVICES, Upstream, run_gateway, shorten
from tests.gateway.names import NameServer
from tests.stacks import reserve_port
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

NAME = "replicas.test"
GONE = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
CALLS = [
    ("GET", "/products?q=a%20b", "/products?q=a%20b"),
    ("GET", "/orders/a%3Fb%25c", "/orders/a%3Fb%25c"),
    ("GET", "/healthz/orders-service", "/healthz"),
    ("GET", "/docs/payments.json", "/openapi.json"),
    ("GET", "/docs/assets/swagger-ui.css", "/docs/assets/swagger-ui.css"),
    ("POST", "/payments/7/confirm?x=1", "/payments/7/confirm?x=1"),
    ("PATCH", "/products/7", "/products/7"),
]


@pytest.fixture
def alive() -> Iterator[Upstream]:
    """The replica that keeps running."""
    upstream = Upstream("alive")
    yield upstream
    upstream.stop()


@pytest.fixture
def gone(alive: Upstream) -> Iterator[None]:
    """Addresses that do not respond, like those of stopped containers, on the same port."""
    with ExitStack() as sockets:
        for address in GONE:
            listener = sockets.enter_context(closing(socket.create_server((address, alive.port), backlog=0)))
            # The kernel drops new connections when the backlog of a listener is full.
            for _ in range(2):
                waiting = sockets.enter_context(closing(socket.socket()))
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
        yield


def count_tries(port: int) -> int:
    """Return the number of connections that nginx is opening to addresses that do not respond."""
    return sum(
        line.status == psutil.CONN_SYN_SENT and line.raddr.port == port
        for line in psutil.net_connections("tcp4")
    )


@pytest.mark.usefixtures("gone")
def test_a_request_that_reached_no_replica_is_retried_when_the_list_has_changed(
    nginx: str, tmp_path: Path, alive: Upstream
) -> None:
    servers = dict.fromkeys(SERVICES, f"{NAME}:{alive.port}")
    bodies = {"GET": None, "POST": '{"amount": 7}', "PATCH": '{"amount": 8}'}
    with ExitStack() as stack:
        names = stack.enter_context(closing(NameServer({NAME: GONE})))
        gateway = stack.enter_context(
            run_gateway(nginx, tmp_path / "gateway", servers, resolver=names.address)
        )
        # nginx has processed the first answer when it sends the next query.
        wait_for(lambda: names.asked[NAME] > 1)
        before, lines = count_tries(alive.port), []
        for number, (method, path, _inside) in enumerate(CALLS):
            line = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE)
            lines.append(stack.enter_context(closing(line)))
            line.request(method, path, bodies[method], {"X-Request-ID": f"call-{number}"})
        # Each request tries a replica for two seconds. Meanwhile nginx learns of the change.
        wait_for(lambda: count_tries(alive.port) >= before + len(CALLS))
        names.answers[NAME] = ("127.0.0.1",)
        statuses = [line.getresponse().status for line in lines]
    assert statuses == [200] * len(CALLS)
    arrived = [
        (seen.headers["x-request-id"], seen.method, seen.path, seen.body, seen.headers["x-forwarded-for"])
        for seen in alive.seen
    ]
    assert sorted(arrived) == [
        (f"call-{number}", method, inside, bodies[method] or "", "127.0.0.1")
        for number, (method, _path, inside) in enumerate(CALLS)
    ]


@pytest.mark.usefixtures("gone")
def test_a_second_failure_is_returned_to_the_client(nginx: str, tmp_path: Path, alive: Upstream) -> None:
    times = {"proxy_connect_timeout 2s": "100ms", "proxy_next_upstream_timeout 2s": "100ms"}
    home = shorten(tmp_path / "home", times)
    servers = dict.fromkeys(SERVICES, " ".join(f"{address}:{alive.port}" for address in GONE))
    with run_gateway(nginx, tmp_path / "gateway", servers, home) as gateway:
        answer = gateway.call("/orders/7", "DELETE", {"X-Request-ID": "late"})
        tries = gateway.record("late")["attributes"]["upstream.status"]
    assert (answer.status, answer.json["status"], answer.headers["retry-after"]) == (504, 504, "1")
    first, _, again = tries.partition(" : ")
    assert first == "504, 504, 504"
    assert set(again.split(", ")) == {"504"}
    assert alive.seen == []


def test_a_request_that_a_replica_may_be_processing_is_not_retried(
    nginx: str, tmp_path: Path, alive: Upstream
) -> None:
    alive.drops = True
    servers = dict.fromkeys(SERVICES, alive.address) | {"auth": f"127.0.0.1:{reserve_port()}"}
    with run_gateway(nginx, tmp_path / "gateway", servers) as gateway:
        assert gateway.call("/payments/7/confirm", "POST", body="{}").status == 502
    assert len(alive.seen) == 1
