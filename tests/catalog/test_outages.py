"""A circuit breaker pauses copying from a failing source, and the last copy is served meanwhile."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import text

from catalog.errors import SourcePaused
from catalog.use_cases.source import copy_source
from catalog.use_cases.sync import describe_copy, request_sync
from tests.catalog.upstreams import CachingUpstream, execute, fail
from tests.waiting import wait_for


def test_three_failures_open_the_circuit_breaker_and_one_probe_follows(
    fake_server, copy, database, monkeypatch, source
):
    monkeypatch.setattr("catalog.clients.FIRST_BACKOFF", 0.01)
    fail(fake_server)
    for failures in (1, 2, 3):
        copy()
        assert len(fake_server.requests) == 3 * failures
    # Open: no copy runs before the pause is over, not even on request.
    assert not copy_source(database, source, "USD")
    with pytest.raises(SourcePaused) as refusal:
        request_sync(database, lambda: None, overwrite=False, allow_removals=False)
    assert 1 <= int(refusal.value.headers["Retry-After"]) <= 10
    assert len(fake_server.requests) == 9
    # Half open: one request, without a retry.
    copy()
    assert len(fake_server.requests) == 10
    assert "4 times in a row" in describe_copy(database, source)
    CachingUpstream(fake_server)
    assert copy().status == "done"
    assert describe_copy(database, source) is None
    # Closed: requests are retried again.
    fail(fake_server)
    asked = len(fake_server.requests)
    copy()
    assert len(fake_server.requests) == asked + 3


def test_the_pause_doubles_with_each_failure_up_to_a_minute(fake_server, copy, database, monkeypatch):
    monkeypatch.setattr("catalog.clients.FIRST_BACKOFF", 0.001)
    fail(fake_server)
    waits = []
    for _ in range(9):
        copy()
        with database.transaction() as connection:
            query = text("SELECT extract(epoch FROM next_attempt_at - now())::float FROM source_copy")
            waits.append(connection.execute(query).scalar())
    for wait, expected in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert 0.5 * expected <= wait <= 1.25 * expected


def test_no_request_fails_while_the_source_is_down(fake_server, start_catalog, auth, monkeypatch, database):
    monkeypatch.setattr("catalog.clients.FIRST_BACKOFF", 0.01)
    CachingUpstream(fake_server)
    whole = fake_server.answer
    replicas = [start_catalog(catalog_upstream_url=fake_server.url, catalog_sync_seconds=1) for _ in range(2)]
    clients = [replica.test_client() for replica in replicas]
    headers = auth.bearer()
    for client in clients:
        wait_for(lambda client=client: client.get("/products", headers=headers).status_code == 200)
    stop, statuses, ages = threading.Event(), set(), []

    def read_products(client):
        while not stop.is_set():
            answer = client.get("/products?limit=5", headers=headers)
            statuses.add(answer.status_code)
            ages.append(int(answer.headers.get("Catalog-Age", 0)))
            statuses.add(client.get("/products/7", headers=headers).status_code)
            if stop.wait(0.01):
                return

    def remarks():
        answer = clients[0].get("/readyz")
        assert answer.status_code == 200
        return answer.json["remarks"]

    def let_time_pass():
        execute(database, "UPDATE source_copy SET copied_at = copied_at - interval '5 seconds'")

    def copy_again():
        """Let a replica copy now, unless one is already copying."""
        execute(database, "UPDATE source_copy SET next_attempt_at = now() WHERE leased_until IS NULL")
        for replica in replicas:
            replica.background.nudge()

    def age():
        """Return the age that readiness names; a slow copy is overdue before its failure is known."""
        found = re.search(r"is (\d+) s old", remarks().get("source", ""))
        return int(found[1]) if found else -1

    with ThreadPoolExecutor(4) as pool:
        for client in clients * 2:
            pool.submit(read_products, client)
        try:
            fail(fake_server)
            wait_for(lambda: copy_again() or age() >= 0)
            let_time_pass()
            first = age()
            assert first >= 5
            let_time_pass()
            assert age() > first
            wait_for(lambda: max(ages) >= 10)
            wait_for(lambda: copy_again() or "times in a row" in remarks()["source"])
            reserve_one(clients[0], auth)
            fake_server.answer = whole
            wait_for(lambda: copy_again() or remarks() == {})
            wait_for(lambda: ages[-1] == 0)
        finally:
            stop.set()
    assert statuses == {200}
    assert ages[-1] == 0


def reserve_one(client, auth):
    answer = client.put(
        f"/internal/reservations/{uuid4()}",
        json={"customer": "a-customer", "items": [{"product_id": 1, "quantity": 1}]},
        headers=auth.service_bearer("orders-service"),
    )
    # The product is sold out, so this is the regular answer.
    assert answer.json["code"] == "out_of_stock"
