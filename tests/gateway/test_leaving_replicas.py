"""A replica that has gone is in the list of the DNS for a moment, and nobody who calls notices."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import dns.message
import dns.rrset
import pytest

from tests.gateway.harness import SERVICES, Gateway, Upstream, free_port, run_gateway
from tests.waiting import wait_for

NAME = "replicas.test"


class NameServer:
    """A DNS server that knows one name, and the addresses that a test gives it."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            packet, caller = self._socket.recvfrom(2048)
            if packet == b"stop":
                return
            query = dns.message.from_wire(packet)
            answer = dns.message.make_response(query, recursion_available=True)
            self.asked += 1
            answer.answer.append(dns.rrset.from_text(query.question[0].name, 1, "IN", "A", *self.addresses))
            self._socket.sendto(answer.to_wire(), caller)

    def close(self) -> None:
        self._socket.sendto(b"stop", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


def vanish(address: str, port: int) -> ExitStack:
    """Make an address at which nobody answers to anything, as that of a container that has gone."""
    sockets = ExitStack()
    door = sockets.enter_context(closing(socket.create_server((address, port), backlog=0)))
    # The kernel passes over whoever comes when the queue of a listener is full.
    for _ in range(2):
        waiting = sockets.enter_context(closing(socket.socket()))
        waiting.setblocking(False)
        waiting.connect_ex(door.getsockname())
    return sockets


@pytest.fixture
def alive() -> Iterator[Upstream]:
    """The replica that stays."""
    upstream = Upstream("alive")
    yield upstream
    upstream.stop()


@pytest.fixture
def names(alive: Upstream) -> Iterator[NameServer]:
    """A DNS in which three replicas stand, and all have gone."""
    gone = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    port = int(alive.address.rpartition(":")[2])
    with ExitStack() as stack:
        for address in gone:
            stack.enter_context(vanish(address, port))
        yield stack.enter_context(closing(NameServer(*gone)))


@pytest.fixture
def gateway(nginx: str, tmp_path: Path, alive: Upstream, names: NameServer) -> Iterator[Gateway]:
    """The gateway, which finds all services by that name."""
    servers = dict.fromkeys(SERVICES, f"{NAME}:{alive.address.rpartition(':')[2]}")
    with run_gateway(nginx, tmp_path / "gateway", servers, resolver=names.address) as gateway:
        # Who asks a second time has read the first answer.
        wait_for(lambda: names.asked > 1)
        yield gateway


@pytest.mark.parametrize(
    ("method", "path", "inside"),
    [
        ("GET", "/products?q=a%20b", "/products?q=a%20b"),
        ("GET", "/orders/a%3Fb%25c", "/orders/a%3Fb%25c"),
        ("GET", "/healthz/orders-service", "/healthz"),
        ("GET", "/docs/payments.json", "/openapi.json"),
        ("GET", "/docs/assets/swagger-ui.css", "/docs/assets/swagger-ui.css"),
        ("POST", "/payments/7/confirm?x=1", "/payments/7/confirm?x=1"),
        ("PATCH", "/products/7", "/products/7"),
    ],
)
def test_a_call_that_reached_no_replica_is_made_again_when_the_list_has_changed(
    gateway: Gateway, names: NameServer, alive: Upstream, method: str, path: str, inside: str
) -> None:
    # It has two seconds for the first replica; nginx hears of the change while it tries the second.
    changing = threading.Timer(0.5, lambda: setattr(names, "addresses", ("127.0.0.1",)))
    changing.start()
    body = None if method == "GET" else '{"amount": 7}'
    began = time.monotonic()
    answer = gateway.call(path, method, {"X-Request-ID": "mine"}, body)
    changing.join()
    assert answer.status == 200, answer.body
    [seen] = alive.seen
    assert (seen.method, seen.path, seen.body) == (method, inside, body or "")
    assert seen.headers["x-request-id"] == "mine"
    assert seen.headers["x-forwarded-for"] == "127.0.0.1"
    assert time.monotonic() - began >= 2, "No replica that has gone was tried."


def test_where_no_replica_comes_back_the_second_failure_is_the_answer(
    gateway: Gateway, alive: Upstream
) -> None:
    answer = gateway.call("/orders/7", "DELETE")
    assert answer.status == 504
    assert answer.json["status"] == 504
    assert answer.headers["retry-after"] == "1"
    assert alive.seen == []


def test_a_call_that_a_replica_may_be_working_on_is_not_made_again(
    nginx: str, tmp_path: Path, alive: Upstream
) -> None:
    alive.drops = True
    servers = dict.fromkeys(SERVICES, alive.address) | {"auth": f"127.0.0.1:{free_port()}"}
    with run_gateway(nginx, tmp_path / "gateway", servers) as gateway:
        assert gateway.call("/payments/7/confirm", "POST", body="{}").status == 502
    assert len(alive.seen) == 1
