"""The gateway's list of replicas while the DNS fails and after it recovers."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.gateway.harness import Gateway, Upstream, run_gateway, shorten
from tests.gateway.names import Failure, NameServer
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

# Each service's name fails in a different way, all at the same time.
FAILURES = {
    "auth": Failure.SILENCE,
    "catalog": Failure.SERVFAIL,
    "logs": Failure.REFUSED,
    "orders": Failure.NXDOMAIN,
    "payments": Failure.NODATA,
}
# These answers mean that a service has no replica. The others do not change its replicas.
DENIALS = {Failure.NXDOMAIN, Failure.NODATA}
NAMES = [f"{service}.test" for service in FAILURES]
BEFORE, AFTER = "127.0.0.1", "127.0.0.5"


@pytest.fixture
def names() -> Iterator[NameServer]:
    """A DNS with an address for each service."""
    with closing(NameServer(dict.fromkeys(NAMES, (BEFORE,)))) as names:
        yield names


@pytest.fixture
def gateway(nginx: str, tmp_path: Path, names: NameServer) -> Iterator[Gateway]:
    """A gateway that uses this DNS, and a replica at each of two addresses, with the same port."""
    # The DNS time-out is shorter. All other times are the gateway's own.
    home = shorten(tmp_path / "home", {"resolver_timeout 2s": "100ms"})
    with ExitStack() as running:
        before = Upstream("before", address=BEFORE)
        running.callback(before.stop)
        running.callback(Upstream("after", address=AFTER, port=before.port).stop)
        servers = {service: f"{service}.test:{before.port}" for service in FAILURES}
        yield running.enter_context(
            run_gateway(nginx, tmp_path / "gateway", servers, home, resolver=names.address)
        )


def find_replicas(gateway: Gateway) -> dict[str, str | int]:
    """Call each service; return the replica that answered, or the gateway's own status."""
    answers = {service: gateway.call(f"/healthz/{service}-service") for service in FAILURES}
    return {
        service: answer.json["service"] if answer.status == 200 else answer.status
        for service, answer in answers.items()
    }


def test_only_a_negative_answer_removes_the_replicas_and_every_name_recovers_with_the_next_answer(
    gateway: Gateway, names: NameServer
) -> None:
    wait_for(lambda: find_replicas(gateway) == dict.fromkeys(FAILURES, "before"))

    names.answers = dict(zip(NAMES, FAILURES.values(), strict=True))
    failed = names.asked.copy()
    # When nginx retries, its first query has failed and the previous answer is no longer valid.
    wait_for(lambda: all(names.asked[name] >= failed[name] + 2 for name in NAMES))
    assert find_replicas(gateway) == {
        service: 502 if failure in DENIALS else "before" for service, failure in FAILURES.items()
    }
    refusal = gateway.call("/healthz/orders-service")
    assert (refusal.json["code"], refusal.headers["retry-after"]) == ("bad_gateway", "1")

    names.answers = dict.fromkeys(NAMES, (AFTER,))
    recovered = names.asked.copy()
    # The query after the first good answer proves that nginx has processed that answer.
    wait_for(lambda: all(names.asked[name] >= recovered[name] + 2 for name in NAMES))
    assert find_replicas(gateway) == dict.fromkeys(FAILURES, "after")
