"""What the bench asks for, counts and shows; the load itself against a fake server."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from bench import calls, checkout
from bench.__main__ import PARTS, main, read_names, read_seconds
from bench.cpu import measure_cpu, subtract
from bench.loads import name_bound
from bench.machine import calibrate, describe_machine
from bench.memory import add_up, measure_memory
from bench.plan import Plan
from bench.report import Section, render, table_of, write_report
from bench.scenarios import (
    CALLS,
    SCENARIOS,
    check_out,
    check_out_one_product,
    list_products,
    look_at_products,
    place_orders,
    search_products,
    update_cart,
)
from bench.shop import CannotMeasure
from bench.statistics import quantile
from local.settings import ROOT, SERVICES
from tests.conftest import FakeServer, send_json
from tests.waiting import wait_for

PRODUCTS = [
    {"id": 1, "stock": 3, "title": "Oak Board"},
    {"id": 2, "stock": 0, "title": "Steel Pan"},
    {"id": 3, "stock": 5, "title": "Oak Desk"},
]


def test_orders_take_every_unit_there_is_and_no_more() -> None:
    bodies = [call.json for call in place_orders(PRODUCTS)]
    assert Counter(body["items"][0]["product_id"] for body in bodies if body) == {1: 3, 3: 5}


def test_orders_are_spread_over_the_products() -> None:
    stock = [{"id": number, "stock": 100} for number in range(10)]
    first = [call.json["items"][0]["product_id"] for call in islice(place_orders(stock), 100) if call.json]
    assert set(first) == set(range(10))


def test_each_order_has_a_key_of_its_own() -> None:
    keys = [call.headers["Idempotency-Key"] for call in place_orders(PRODUCTS)]
    assert len(set(keys)) == len(keys) == 8


def test_looking_never_ends_and_goes_through_all_products() -> None:
    assert [call.path for call in islice(look_at_products(PRODUCTS), 4)] == [
        "/products/1",
        "/products/2",
        "/products/3",
        "/products/1",
    ]
    assert {call.path for call in islice(list_products(PRODUCTS), 3)} == {"/products?limit=30"}


def test_each_search_is_for_two_words_that_titles_have() -> None:
    paths = [call.path for call in islice(search_products(PRODUCTS), 20)]
    assert {path.partition("?q=")[0] for path in paths} == {"/products"}
    assert {word for path in paths for word in path.partition("?q=")[2].split("+")} == {
        *("oak", "board", "steel", "pan", "desk")
    }
    assert len(set(paths)) > 10


def test_a_cart_is_filled_with_different_products_and_then_changed() -> None:
    changes = [(call.path[-1], call.json) for call in islice(update_cart(PRODUCTS), 6)]
    assert changes == [(product, {"quantity": units}) for units in (1, 2) for product in "123"]


def test_a_visit_buys_one_unit_by_the_cart_under_a_key_of_its_own() -> None:
    visits = list(islice(check_out(PRODUCTS), 4))
    assert [visit.calls[0].path for visit in visits] == [
        "/cart/items/1",
        "/cart/items/2",
        "/cart/items/3",
        "/cart/items/1",
    ]
    assert all("items" not in (visit.calls[1].json or {}) for visit in visits)
    assert len({visit.calls[1].headers["Idempotency-Key"] for visit in visits}) == 4


def test_all_visits_may_buy_the_same_product() -> None:
    visits = islice(check_out_one_product(PRODUCTS), 3)
    assert {visit.calls[0].path for visit in visits} == {"/cart/items/1"}


def test_scenarios_have_different_names() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50.0), (0.99, 99.0), (0.995, 100.0), (1.0, 100.0), (0.0, 1.0)]
)
def test_a_quantile_is_one_of_the_values(share: float, value: float) -> None:
    assert quantile([float(number) for number in range(100, 0, -1)], share) == value


def test_there_is_no_quantile_of_nothing() -> None:
    assert quantile([], 0.5) is None


class FakeShop:
    """A shop of two products that answers orders with the statuses it was given, and then with 201."""

    def __init__(self, server: FakeServer, *statuses: int) -> None:
        self.url = server.url
        self.guests = 0
        self.tokens: set[str] = set()
        self.put: list[str] = []
        self._statuses = iter(statuses)
        server.answer = self.answer

    def answer(self, handler: Any, _body: bytes) -> None:
        """Answer a call."""
        if handler.path == "/auth/guest":
            self.guests += 1
            send_json(handler, json.dumps({"access_token": f"token-{self.guests}"}).encode(), 201)
        elif handler.path.startswith("/cart/"):
            self.put.append(handler.headers["Authorization"])
            send_json(handler, b"{}", 200 if handler.path.endswith("/1") else 404)
        elif handler.path == "/orders":
            token = handler.headers["Authorization"]
            self.tokens.add(token)
            send_json(handler, json.dumps({"id": f"of-{token[7:]}"}).encode(), next(self._statuses, 201))
        elif handler.path.startswith("/orders/"):
            is_own = handler.path == f"/orders/of-{handler.headers['Authorization'][7:]}"
            send_json(handler, b"{}", 200 if is_own else 404)
        elif "cursor" in handler.path:
            send_json(handler, b'{"data": [{"id": 2, "stock": 30}], "next": null}')
        else:
            send_json(handler, b'{"data": [{"id": 1, "stock": 20}], "next": "c"}')


def put_load(url: str, scenario: str = "POST /orders", **changes: Any) -> subprocess.CompletedProcess[str]:
    plan = Plan(
        **{"scenario": scenario, "url": url, "clients": 3, "warm_up": 0.0, "seconds": 20.0, **changes}
    )
    return subprocess.run(
        [sys.executable, "-m", "bench.load", json.dumps(asdict(plan))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_load_counts_what_was_expected_what_was_refused_and_what_was_wrong(fake_server: FakeServer) -> None:
    shop = FakeShop(fake_server, 202, 409, 409, 500, 422)
    done = put_load(shop.url)
    assert done.returncode == 0, done.stderr
    load = json.loads(done.stdout)
    # Fifty units in two pages of products; where they end the measurement ends, long before its 20 s.
    assert load["ended_early"]
    assert load["seconds"] < 15
    assert load["statuses"] == {"201": 45, "202": 1, "409": 2, "422": 1, "500": 1}
    assert (load["good"], load["refused"], load["errors"]) == (46, 2, 2)
    assert load["bad_statuses"] == [422, 500]
    assert load["rate"] == pytest.approx(46 / load["seconds"], rel=0.02, abs=0.1)
    assert 0 < load["p50"] <= load["p99"]
    assert shop.tokens == {"Bearer token-1", "Bearer token-2", "Bearer token-3"}


def test_each_visit_is_made_by_a_new_guest_and_ends_where_a_call_is_refused(fake_server: FakeServer) -> None:
    shop = FakeShop(fake_server)
    done = put_load(shop.url, "checkout", clients=2, seconds=2.0)
    assert done.returncode == 0, done.stderr
    load = json.loads(done.stdout)
    # There is product 1 only, and 2 is looked for in vain.
    assert load["statuses"].keys() == {"201", "404"}
    assert load["good"] == load["statuses"]["201"] > 0
    assert len(set(shop.put)) == len(shop.put)
    assert load["steps"].keys() == {"POST /auth/guest", "PUT /cart/items/{id}", "POST /orders"}
    assert load["p50"] >= load["steps"]["POST /orders"]["p50"]


def test_a_load_lasts_as_long_as_told_and_each_client_looks_at_its_own_order(fake_server: FakeServer) -> None:
    shop = FakeShop(fake_server)
    done = put_load(shop.url, "GET /orders/{id}", seconds=0.5)
    assert done.returncode == 0, done.stderr
    load = json.loads(done.stdout)
    assert not load["ended_early"]
    # A timer may be early by a little, and late by as much as a busy machine makes it.
    assert 0.45 < load["seconds"] < 10
    assert load["statuses"] == {"200": load["good"]}
    assert load["good"] > 0
    assert shop.tokens == {"Bearer token-1", "Bearer token-2", "Bearer token-3"}


def test_what_comes_before_the_measurement_is_not_counted(fake_server: FakeServer) -> None:
    done = put_load(FakeShop(fake_server).url, clients=1, warm_up=20.0, seconds=0.2)
    assert done.returncode == 0, done.stderr
    # All fifty units were sold while it warmed up.
    assert json.loads(done.stdout)["statuses"] == {}


def test_a_load_on_a_closed_port_fails_and_says_so() -> None:
    done = put_load("http://127.0.0.1:9", clients=1)
    assert done.returncode != 0
    assert "A client could not come in" in done.stderr


@pytest.fixture
def family() -> Iterator[int]:
    """A process with one child that is at work already."""
    program = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline()
        yield process.pid
        process.communicate()


def test_memory_is_that_of_the_whole_family(family: int) -> None:
    memory = measure_memory(family)
    assert memory.processes == 2
    assert sum(memory.each) == pytest.approx(memory.pss_mib, abs=0.2)
    alone = measure_memory(family, with_children=False)
    assert alone.processes == len(alone.each) == 1
    assert 0 < alone.pss_mib < memory.pss_mib
    assert add_up([memory, alone]).each == (*memory.each, *alone.each)


def test_processor_time_is_that_of_the_whole_family() -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]]); input()"
    work = "import time\nwhile time.process_time() < 0.4: pass"
    with subprocess.Popen([sys.executable, "-c", program, work], stdin=subprocess.PIPE) as process:
        used = wait_for(lambda: (seconds := measure_cpu(process.pid)) > 0.2 and seconds)
        assert measure_cpu(process.pid, with_children=False) < used
        process.communicate()


def test_what_was_used_is_told_by_part() -> None:
    assert subtract({"a": 3.0, "b": 2.5}, {"a": 1.0, "b": 2.5}) == {"a": 2.0, "b": 0.0}


def test_a_machine_is_described_and_calibrated(tmp_path: Path) -> None:
    machine = describe_machine()
    assert machine["postgresql"].startswith("18.")
    assert machine["cores"] >= 1
    assert all(rate > 0 for rate in calibrate(tmp_path, seconds=0.02).values())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["x", "0", "-1", "nan", "inf"])
def test_seconds_that_are_no_time_are_refused_by_name(text: str) -> None:
    with pytest.raises(CannotMeasure, match="SECONDS"):
        read_seconds({"SECONDS": text})


def test_seconds_are_8_unless_told_otherwise() -> None:
    assert read_seconds({"SECONDS": ""}) == 8
    assert read_seconds({"SECONDS": "0.5"}) == 0.5


RESULTS: dict[str, Any] = {
    "time": "2026-01-02T03:04:05+00:00",
    "seconds": 8.0,
    "machine": {
        "cores": 2,
        "cpu": "A CPU",
        "memory_gib": 4.0,
        "kernel": "6.1",
        "python": "3.13.1",
        "postgresql": "18.1",
        "nginx": "1.30.4",
        "commit": "abc",
        "packages": {"flask": "3.1.3"},
    },
    "calibration": {"python_loops": 1.0, "sha256_mib": 2.0, "argon2": 3.0, "disk_syncs": 4.0},
    "parts": {},
}
LOAD = {
    "scenario": "POST /orders",
    "clients": 8,
    "rate": 12.3,
    "p50": 4.44,
    "p99": 55.0,
    "refused": 6,
    "errors": 3,
    "statuses": {"0": 1, "201": 99, "409": 6, "500": 2},
    "bad_statuses": [0, 500],
    "seconds": 8.0,
    "ended_early": False,
    "load_cpu": 0.25,
    "settled": 0.5,
    "cores": {"gateway": 0.125, "orders-service": 0.5},
    "bound": "waiting",
}


def read_rows(lines: list[str]) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def test_the_report_tells_what_was_measured_on_and_then_each_part() -> None:
    report = render(RESULTS, [Section("First", ["One."]), Section("Next", ["Two.", "Three."], ["bars.svg"])])
    assert report.startswith("# Shopfleet at abc, ")
    assert report.endswith("\n\n## First\n\nOne.\n\n## Next\n\n![bars](bars.svg)\n\nTwo.\nThree.")


def test_the_tables_of_calls_show_what_was_measured() -> None:
    memory = {
        "at_rest": {
            "gateway": (2, 7.5, (2.5, 5.0)),
            "auth-service": (1, 50.0, (50.0,)),
            "postgres": (2, 50.0, (25.0, 25.0)),
        },
        "after_load": {
            "gateway": (2, 8.0, (2.5, 5.5)),
            "auth-service": (2, 60.25, (10.25, 50.0)),
            "postgres": (1, 70.0, (70.0,)),
        },
    }
    assert read_rows(calls.render({"loads": [LOAD], "memory": memory})) == [
        [
            *("call", "clients", "a second", "p50 ms", "p99 ms", "refused", "errors", "load", "cores"),
            *("settled", "bound by"),
        ],
        [
            *("`POST /orders`", "8", "12.3", "4.4", "55.0", "6", "3 (1 x no answer, 2 x 500)", "25%", "0.62"),
            *("0.5 s", "waiting"),
        ],
        ["part", "processes", "at rest", "after the load", "each process then"],
        ["gateway", "2", "7.5", "8.0", "2.5 + 5.5"],
        ["auth-service", "2", "50.0", "60.2", "10.2 + 50.0"],
        ["postgres", "1", "50.0", "70.0", "70.0"],
        ["gateway and services", "4", "57.5", "68.2", ""],
        ["all", "5", "107.5", "138.2", ""],
    ]


def test_the_tables_of_checkouts_show_what_was_measured() -> None:
    load = {
        **LOAD,
        "title": "a shop",
        "steps": {"POST /orders": {"p50": 3.0, "p99": None}},
        "cpu_ms": {"gateway": 0.5, "postgres": 1.25},
    }
    # On a busy machine, no visit may have come as far as to the order.
    empty = {**load, "title": "another", "steps": {}}
    assert read_rows(checkout.render({"loads": [empty, load]})) == [
        ["shop", "clients", "a second", "p50 ms", "p99 ms", "errors", "settled", "bound by"],
        ["another", "8", "12.3", "4.4", "55.0", "9", "0.5 s", "waiting"],
        ["a shop", "8", "12.3", "4.4", "55.0", "9", "0.5 s", "waiting"],
        ["shop", "clients", "POST /orders"],
        ["another", "8", ""],
        ["a shop", "8", "3.0,"],
        ["shop", "clients", "gateway", "postgres", "all"],
        ["another", "8", "0.50", "1.25", "1.75"],
        ["a shop", "8", "0.50", "1.25", "1.75"],
    ]


def test_numbers_that_have_a_name_make_a_table_of_a_column_each() -> None:
    rows = [{"clients": 1, "scenario": "hold", "rate": 2.5}, {"clients": 8, "scenario": "sell", "rate": None}]
    assert table_of(rows) == [
        "| scenario | clients | rate |",
        "|----------|--------:|-----:|",
        "| hold     |       1 |  2.5 |",
        "| sell     |       8 |      |",
    ]


def test_what_is_not_there_to_be_measured_is_named() -> None:
    with pytest.raises(CannotMeasure, match="checkout"):
        read_names(["chekout"])
    assert read_names(["checkout"]) == ["checkout"]
    assert read_names([]) == list(PARTS)


def test_the_report_is_kept_under_its_time_with_its_charts_and_all_numbers(tmp_path: Path) -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    report = write_report(RESULTS, "# A report", {"bars.svg": "<svg/>"}, tmp_path / "results", time)
    assert report == tmp_path / "results" / "20260102T030405Z" / "report.md"
    assert report.read_text() == "# A report\n"
    assert (report.parent / "bars.svg").read_text() == "<svg/>"
    assert json.loads((report.parent / "results.json").read_text()) == RESULTS


@pytest.mark.parametrize(
    ("load", "cores", "bound"),
    [
        (0.95, {"gateway": 0.3, "catalog-service": 0.5}, "the load itself"),
        (0.2, {"postgres": 0.6, "catalog-service": 1.0}, "all cores, most of it catalog-service"),
        (0.1, {"postgres": 0.2, "catalog-service": 0.9}, "one process of catalog-service"),
        (0.1, {"postgres": 0.9, "catalog-service": 0.2}, "waiting"),
    ],
)
def test_what_bounds_a_load_is_told_by_who_was_busy(load: float, cores: dict[str, float], bound: str) -> None:
    assert name_bound(cores, load, count=2) == bound


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_whole_bench_runs_and_leaves_nothing_behind(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("SECONDS", "1")
    monkeypatch.setenv("ROWS", "2000")
    monkeypatch.setenv("LOG_RECORDS", "20000")
    monkeypatch.setattr("bench.reading.SIZES", (100, 1000))
    monkeypatch.setattr("bench.reading.CLIENTS", (1,))
    monkeypatch.setattr("bench.reservations.CLIENTS", (1,))
    monkeypatch.setattr("bench.hot_path.CLIENTS", (1, 8))
    monkeypatch.setattr("bench.calls.CLIENTS", (1, 8))
    monkeypatch.setattr("bench.checkout.CLIENTS", (1, 8))
    monkeypatch.setattr("bench.hot_path.ROUNDS", 1)
    monkeypatch.setattr("bench.identity.ROUNDS", 1)
    monkeypatch.setattr("bench.__main__.RESULTS", tmp_path / "results")
    monkeypatch.setattr("bench.checkout.PAST_ORDERS", 1000)
    assert main() == 0
    printed = capsys.readouterr().out
    assert "| postgres " in printed
    [folder] = (tmp_path / "results").iterdir()
    assert f"{(folder / 'report.md').read_text()}" == printed
    charts = {"hot-path.svg", "throughput.svg", "latency.svg", "peers.svg"}
    assert {file.name for file in folder.iterdir()} == {"report.md", "results.json", *charts}
    parts = json.loads((folder / "results.json").read_text())["parts"]
    ways = [row["way"] for row in parts["hot-path"]["rows"] if row["clients"] == 1]
    assert ways == ["static file", "gateway", "gateway, cache off", "tutorial"]
    assert sum(row["errors"] for row in parts["hot-path"]["rows"]) == 0
    assert all(row["rate"] for row in parts["hot-path"]["rows"] if row["clients"] == 1)
    for start in parts["start"]["starts"]:
        assert start["services"].keys() == set(SERVICES)
        assert 0 < max(start["services"].values()) < start["seconds"]
    assert [each["own_mib"] > 0 for each in parts["images"]["images"]] in ([], [True] * len(SERVICES))
    rows = [*parts["catalogue"]["rows"], *parts["reservations"]["rows"]]
    assert [row["errors"] for row in rows] == [0] * len(rows)
    assert [row["rows"] for row in parts["import"]["rows"]] == [2000] * 3
    loads = parts["calls"]["loads"]
    assert [(load["scenario"], load["clients"]) for load in loads] == [
        (scenario.name, clients) for scenario in CALLS for clients in (1, 8)
    ]
    # Of many clients on a busy machine perhaps none gets its answer within the second.
    assert all(load["good"] for load in loads if load["clients"] == 1)
    loads += parts["checkout"]["loads"]
    assert [load["errors"] for load in loads] == [0] * len(loads)
    assert all(load["orders"] for load in parts["checkout"]["loads"])
    assert list(ROOT.glob(".local-bench-*")) == []
