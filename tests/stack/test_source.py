"""A product source fails while the shop is busy, and recovers."""

import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import requests

from catalog.domain import BREAKER_FAILURES
from tests.catalog.upstreams import FakeUpstream
from tests.conftest import FakeServer
from tests.stack.test_purchase import place
from tests.stacks import ProcessStack, Shopper
from tests.waiting import wait_for

# tests/catalog/test_outages.py proves it on one application, without the gateway and a second replica.
pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

PRODUCTS = 130  # More than a page.
FAILURES = 5  # In a row: more than open the circuit breaker.


@pytest.fixture
def upstream(fake_server: FakeServer) -> FakeUpstream:
    """A source with more than a page of products."""
    upstream = FakeUpstream(fake_server)
    upstream.products = [
        {"id": number, "title": f"Thing {number}", "price": 1.5, "stock": 1000}
        for number in range(1, PRODUCTS + 1)
    ]
    return upstream


@pytest.fixture
def shop(tmp_path: Path, upstream: FakeUpstream) -> Iterator[ProcessStack]:
    """A shop with two replicas of the catalogue, which copy the source every second."""
    stack = ProcessStack(
        tmp_path / "state",
        SCALE="catalog-service=2",
        CATALOG_UPSTREAM_URL=upstream.url,
        CATALOG_SYNC_SECONDS="1",
    )
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


class Load:
    """Customers who read and buy without pause, their answers, and the age of those."""

    def __init__(self, url: str) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.ages: list[int] = []
        self._url = url
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(5)

    def __enter__(self) -> "Load":
        work = [self._look, self._look, self._search, self._search, self._buy]
        self._jobs = [self._pool.submit(self._repeat, each) for each in work]
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for job in self._jobs:
            job.result()

    def _repeat(self, work: Callable[[Shopper, int], requests.Response]) -> None:
        turn = 0
        with Shopper(self._url) as shopper:
            assert shopper.post("/auth/guest").status_code == 201
            while not self._stop.wait(0.02):
                answer = work(shopper, turn)
                self.answers[work.__name__, answer.status_code] += 1
                if work != self._buy:
                    self.ages.append(int(answer.headers.get("Catalog-Age", 0)))
                turn += 1

    def _look(self, shopper: Shopper, turn: int) -> requests.Response:
        return shopper.get(f"/products/{turn % PRODUCTS + 1}")

    def _search(self, shopper: Shopper, turn: int) -> requests.Response:
        return shopper.get("/products", params={"q": "thing", "max_price": turn + 2, "facets": "true"})

    def _buy(self, shopper: Shopper, turn: int) -> requests.Response:
        return place(shopper, uuid.uuid4().hex, items=[{"product_id": turn % PRODUCTS + 1, "quantity": 1}])


def hang_up(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
    handler.close_connection = True


def read_remarks(shop: ProcessStack) -> list[dict[str, str]]:
    """Return the remarks of each catalogue replica; all replicas are ready."""
    answers = [
        requests.get(f"http://127.0.0.1:{replica['port']}/readyz", timeout=10)
        for replica in shop.describe()["services"]["catalog-service"]["replicas"]
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    return [answer.json()["remarks"] for answer in answers]


def count_failures(shop: ProcessStack) -> int:
    """Return the number of consecutive failures, on which all replicas agree."""
    matches = [
        re.search(r"failed (\d+) times in a row", each.get("source", "")) for each in read_remarks(shop)
    ]
    return min(int(match[1]) if match else 0 for match in matches)


def test_a_failing_source_fails_no_request_and_the_copy_recovers(
    shop: ProcessStack, upstream: FakeUpstream
) -> None:
    with Shopper(shop.url) as shopper:
        shopper.log_in()
        last = wait_for(lambda: (answer := shopper.get("/products/130")).status_code == 200 and answer.json())
        assert (last["title"], last["brand"]) == ("Thing 130", None)
        with Load(shop.url) as load:
            alive, upstream.server.answer = upstream.server.answer, hang_up
            died = time.monotonic()
            first = wait_for(lambda: int(shopper.get("/products/1").headers.get("Catalog-Age", 0)))
            wait_for(lambda: count_failures(shop) >= BREAKER_FAILURES)
            asked, known = len(upstream.server.requests), count_failures(shop)
            wait_for(lambda: count_failures(shop) >= known + FAILURES)
            # The breaker is open: a copy is a single probe, and an admin cannot start one.
            assert len(upstream.server.requests) - asked <= 2 * (count_failures(shop) - known + 1)
            wait_for(lambda: shopper.post("/products/sync", json={}).json().get("code") == "source_paused")
            age, down = int(shopper.get("/products/1").headers["Catalog-Age"]), time.monotonic() - died
            upstream.products[0]["title"] = "It is back"
            upstream.server.answer = alive
            wait_for(lambda: shopper.get("/products/1").json()["title"] == "It is back")
            wait_for(lambda: read_remarks(shop) == [{}, {}])
            wait_for(lambda: "Catalog-Age" not in shopper.get("/products/1").headers)
    # An answer can be two seconds older in the gateway's cache.
    assert first < age
    assert down - 3 <= age <= max(load.ages)
    assert {kind for kind, _status in load.answers} == {"_look", "_search", "_buy"}
    assert {status for _kind, status in load.answers} <= {200, 201, 202}, load.answers
    wait_for(lambda: shop.audit().returncode == 0)
