"""The bench: its settings, its measures of processes and the machine, and its report."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import calls, checkout
from bench.__main__ import PARTS, Part, main, read_names, read_seconds
from bench.errors import CannotMeasure
from bench.machine import calibrate, describe_machine
from bench.report import render, table, write_report
from bench.scenarios import CALLS
from bench.statistics import quantile
from bench.usage import add_up, measure_cpu, measure_memory, subtract
from local.settings import ROOT
from tests.waiting import wait_for


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50.0), (0.99, 99.0), (0.995, 100.0), (1.0, 100.0), (0.0, 1.0)]
)
def test_a_quantile_is_one_of_the_values(share: float, value: float) -> None:
    assert quantile([float(number) for number in range(100, 0, -1)], share) == value


def test_no_values_have_no_quantile() -> None:
    assert quantile([], 0.5) is None


@pytest.fixture
def family() -> Iterator[int]:
    """A process with one busy child."""
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


def test_memory_includes_the_descendants(family: int) -> None:
    memory = measure_memory(family)
    assert memory.processes == 2
    assert sum(memory.each) == pytest.approx(memory.pss_mib, abs=0.2)
    alone = measure_memory(family, with_children=False)
    assert alone.processes == len(alone.each) == 1
    assert 0 < alone.pss_mib < memory.pss_mib
    assert add_up([memory, alone]).each == (*memory.each, *alone.each)


def test_processor_time_includes_the_descendants() -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]]); input()"
    work = "import time\nwhile time.process_time() < 0.4: pass"
    with subprocess.Popen([sys.executable, "-c", program, work], stdin=subprocess.PIPE) as process:
        used = wait_for(lambda: (seconds := measure_cpu(process.pid)) > 0.2 and seconds)
        assert measure_cpu(process.pid, with_children=False) < used
        process.communicate()


def test_use_is_reported_by_part() -> None:
    assert subtract({"a": 3.0, "b": 2.5}, {"a": 1.0, "b": 2.5}) == {"a": 2.0, "b": 0.0}


def test_a_machine_is_described_and_calibrated(tmp_path: Path) -> None:
    machine = describe_machine()
    assert machine["postgresql"].startswith("18.")
    assert machine["cores"] >= 1
    assert all(rate > 0 for rate in calibrate(tmp_path).values())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["x", "0", "-1", "nan", "inf"])
def test_invalid_seconds_are_refused_by_name(text: str) -> None:
    with pytest.raises(CannotMeasure, match="SECONDS"):
        read_seconds({"SECONDS": text})


def test_seconds_are_8_by_default() -> None:
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
    },
    "calibration": {"python_loops": 1.0, "disk_syncs": 4.0},
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


def test_the_report_describes_the_machine_and_then_each_part() -> None:
    report = render(RESULTS, {"First": ["One."], "Next": ["Two.", "Three."]})
    assert report.startswith("# Shopfleet at abc, ")
    assert "2 x A CPU, 4.0 GiB, Linux 6.1, Python 3.13.1, PostgreSQL 18.1, nginx 1.30.4" in report
    assert report.endswith("\n\n## First\n\nOne.\n\n## Next\n\nTwo.\nThree.")


def test_the_tables_of_calls_show_the_results() -> None:
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


def test_the_tables_of_checkouts_show_the_results() -> None:
    load = {
        **LOAD,
        "title": "a shop",
        "steps": {"POST /orders": {"p50": 3.0, "p99": None}},
        "cpu_ms": {"gateway": 0.5, "postgres": 1.25},
    }
    # On a busy machine, no visit may have reached the order.
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


def make_round(shop: str, cpu: float, **changes: Any) -> dict[str, Any]:
    steps = {"POST /orders": {"p50": 10.0, "p99": 20.0}}
    return {
        **LOAD,
        "shop": shop,
        "good": 80,
        "refused": 0,
        "cpu_ms": {"gateway": cpu},
        "steps": steps,
        **changes,
    }


def test_a_checkout_is_compared_with_another_commit_by_medians() -> None:
    other = [make_round("abc", cpu) for cpu in (8.0, 4.0, 40.0)]
    here = [make_round("here", cpu, good=160, settled=2.0) for cpu in (2.0, 30.0, 1.0)]
    rows = [checkout.sum_up([*other, *here], shop, 8) for shop in ("abc", "here")]
    load = {**LOAD, "title": "a shop", "steps": {}, "cpu_ms": {"gateway": 0.5}}
    lines = checkout.render(
        {"loads": [load], "comparison": {"commit": "abc", "rows": rows, "with_totals": rows}}
    )
    # The rate covers the time until the last order is paid: 80 orders in 8.5 s, and 160 in 10 s.
    assert read_rows(lines)[:5] == [
        ["shop", "clients", "gateway", "all", "a second", "p99 ms", "settled", "errors"],
        ["abc", "8", "8.00", "8.00", "9.4", "20.0", "0.5 s", "9"],
        ["here", "8", "2.00", "2.00", "16.0", "20.0", "2 s", "9"],
        ["clients", "processor time", "rate", "p99"],
        ["8", "0.25", "1.70", "1.00"],
    ]


def test_a_table_aligns_numbers_right_and_leaves_missing_cells_empty() -> None:
    assert table("scenario | clients | rate", [["hold", 1, 2.5], ["sell", 8, None]]) == [
        "| scenario | clients | rate |",
        "|----------|--------:|-----:|",
        "| hold     |       1 |  2.5 |",
        "| sell     |       8 |      |",
    ]


def test_an_unknown_part_is_refused_by_name() -> None:
    with pytest.raises(CannotMeasure, match="checkout"):
        read_names(["chekout"])
    assert read_names(["checkout"]) == ["checkout"]
    assert read_names([]) == list(PARTS)


def test_the_report_is_stored_under_its_time_with_all_numbers(tmp_path: Path) -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    report = write_report(RESULTS, "# A report", tmp_path / "results", time)
    assert report == tmp_path / "results" / "20260102T030405Z" / "report.md"
    assert report.read_text() == "# A report\n"
    assert json.loads((report.parent / "results.json").read_text()) == RESULTS


def test_the_requested_parts_are_measured_reported_and_stored(tmp_path, monkeypatch, capsys) -> None:
    subject = SimpleNamespace(
        measure=lambda folder, seconds: {"seconds": seconds, "is_there": folder.is_dir()},
        render=lambda results: [f"Measured for {results['seconds']:g} s."],
    )
    monkeypatch.setattr("bench.__main__.PARTS", {"one": Part("The one", subject)})
    monkeypatch.setattr("bench.__main__.running_shop", nullcontext)
    monkeypatch.setattr("bench.__main__.RESULTS", tmp_path)
    monkeypatch.setenv("SECONDS", "0.5")
    assert main(["one"]) == 0
    [folder] = tmp_path.iterdir()
    printed = capsys.readouterr().out
    assert printed == (folder / "report.md").read_text()
    assert printed.endswith("## The one\n\nMeasured for 0.5 s.\n")
    results = json.loads((folder / "results.json").read_text())
    assert results["parts"] == {"one": {"seconds": 0.5, "is_there": True}}
    assert main(["two"]) == 1


@pytest.mark.long
@pytest.mark.xdist_group("bench")
@pytest.mark.timeout(1800)
def test_the_whole_bench_runs_and_leaves_nothing_behind(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("SECONDS", "1")
    monkeypatch.setattr("bench.hot_path.CLIENTS", (1, 8))
    monkeypatch.setattr("bench.calls.CLIENTS", (1, 8))
    monkeypatch.setattr("bench.checkout.CLIENTS", (1, 8))
    monkeypatch.setattr("bench.hot_path.ROUNDS", 1)
    monkeypatch.setattr("bench.__main__.RESULTS", tmp_path / "results")
    monkeypatch.setattr("bench.checkout.PAST_ORDERS", 1000)
    monkeypatch.setenv("PRODUCTS", "2000")
    monkeypatch.setattr("bench.catalogue.ROUNDS", 1)
    monkeypatch.setattr("bench.catalogue.QUESTIONS", {"the first page": {}})
    monkeypatch.setattr("bench.catalogue.OPTION_QUESTIONS", {})
    assert main() == 0
    printed = capsys.readouterr().out
    assert "| postgres " in printed
    [folder] = (tmp_path / "results").iterdir()
    assert f"{(folder / 'report.md').read_text()}" == printed
    assert {file.name for file in folder.iterdir()} == {"report.md", "results.json"}
    parts = json.loads((folder / "results.json").read_text())["parts"]
    ways = [row["way"] for row in parts["hot-path"]["rows"] if row["clients"] == 1]
    assert ways == ["static file", "gateway", "gateway, gzip", "gateway, cache off", "tutorial"]
    assert sum(row["errors"] for row in parts["hot-path"]["rows"]) == 0
    assert all(row["rate"] for row in parts["hot-path"]["rows"] if row["clients"] == 1)
    loads = parts["calls"]["loads"]
    assert [(load["scenario"], load["clients"]) for load in loads] == [
        (scenario.name, clients) for scenario in CALLS for clients in (1, 8)
    ]
    # On a busy machine, none of many clients may get an answer within the second.
    assert all(load["good"] for load in loads if load["clients"] == 1)
    loads += parts["checkout"]["loads"]
    assert [load["errors"] for load in loads] == [0] * len(loads)
    assert all(load["orders"] for load in parts["checkout"]["loads"])
    asked = [row["question"] for row in parts["catalogue"]["varied"]]
    assert asked == ["the first page", "a later page", "one product"]
    assert list(ROOT.glob(".local-bench-*")) == []
