"""Each line of the gateway's files is stored once, by any replica, and complete files are deleted."""

import json
import os
import secrets
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from logs.domain.retention import Retention
from logs.use_cases import gateway
from logs.use_cases.gateway import GatewayMetrics, collect_log_records

ORDER = "0199c0de-0000-7000-8000-0123456789ab"
KEPT = Retention(days=14, mib=1_000_000, audit_days=365)
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def write_line(path: str = "/products", status: int = 200, **changes: Any) -> str:
    """Return a line in nginx's format."""
    attributes = {
        "http.request.method": "GET",
        "url.path": path,
        "http.response.status_code": status,
        "duration_ms": 12,
        "client.address": "192.0.2.1",
        "traceparent": f"00-{TRACE}-{SPAN}-01",
        "upstream.address": "",
        "nginx.request_id": uuid4().hex,
        **changes.pop("attributes", {}),
    }
    record = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "service": "gateway",
        "instance": "g-1",
        "level": "ERROR" if status >= 500 else "INFO",
        "message": f"GET {path} {status}",
        "trace_id": TRACE,
        "request_id": "r-1",
        "order_id": "",
        **changes,
        "attributes": attributes,
    }
    return json.dumps(record) + "\n"


@pytest.fixture
def folder(app, tmp_path: Path) -> Path:
    """A folder of log files, of which nothing has been read yet."""
    with app.database.engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE gateway_files")
    return tmp_path


@pytest.fixture
def collect(app, folder):
    """Read the folder once; return the messages that were counted."""

    def collect_once() -> list[str]:
        counted: list[str] = []
        collect_log_records(
            app.database,
            folder,
            retention=KEPT,
            count=lambda stored, _hits: counted.extend(r.message for r in stored),
        )
        return counted

    return collect_once


def age(file: Path, seconds: float) -> None:
    """Date a file's last write back."""
    then = time.time() - seconds
    os.utime(file, (then, then))


def test_a_line_becomes_a_record_with_all_its_ids(folder, collect, sender):
    (folder / "2026-01-31T12-00.log").write_text(write_line("/orders", 201, order_id=ORDER))
    collect()
    [record] = sender.find(f"order_id={ORDER}")
    assert (record["service"], record["instance"], record["level"]) == ("gateway", "g-1", "INFO")
    assert record["message"] == "GET /orders 201"
    assert (record["trace_id"], record["span_id"], record["request_id"]) == (TRACE, SPAN, "r-1")
    assert record["attributes"].pop("nginx.request_id")
    assert record["attributes"] == {
        "http.request.method": "GET",
        "url.path": "/orders",
        "http.response.status_code": 201,
        "duration_ms": 12,
        "client.address": "192.0.2.1",
    }


def test_lines_are_stored_once_as_the_file_grows(folder, collect, sender):
    file = folder / "2026-01-31T12-00.log"
    expected = []
    for number in range(3):
        with file.open("a") as stream:
            stream.write(write_line(f"/{number}"))
        expected = [f"GET /{number} 200", *expected]
        assert collect() == expected[:1]
        assert collect() == []
        assert sorted(sender.find_messages(), reverse=True) == expected


def test_an_incomplete_line_is_read_once_it_is_complete(folder, collect):
    file, line = folder / "2026-01-31T12-00.log", write_line("/split")
    file.write_text(write_line("/whole") + line[:50])
    assert collect() == ["GET /whole 200"]
    with file.open("a") as stream:
        stream.write(line[50:])
    assert collect() == ["GET /split 200"]


def test_a_file_is_deleted_only_once_it_is_complete_and_read(folder, collect, app):
    file = folder / "2026-01-31T12-00.log"
    file.write_text(write_line())
    age(file, gateway.COMPLETE_AFTER + 60)
    assert len(collect()) == 1
    assert not file.exists()
    younger = folder / "2026-01-31T12-02.log"
    younger.write_text(write_line())
    collect()
    collect()
    assert younger.exists()
    with app.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE gateway_files SET read_at = now() - interval '1 day'")
    collect()
    with app.database.engine.begin() as connection:
        names = connection.exec_driver_sql("SELECT name FROM gateway_files").scalars()
        assert list(names) == [younger.name]


def test_invalid_lines_are_skipped_and_logged(folder, collect, sender, caplog):
    lines = [
        write_line("/before"),
        "nonsense\n",
        "[1]\n",
        write_line(attributes={"url.path": 7}),
        write_line(time="yesterday"),
        write_line("/\ufffd").replace("\\ufffd", "\udcff"),
        write_line("/after"),
    ]
    (folder / "x.log").write_bytes("".join(lines).encode("utf-8", "surrogateescape"))
    assert collect() == ["GET /before 200", "GET /\ufffd 200", "GET /after 200"]
    assert "4 of the gateway's records could not be read" in caplog.text
    assert len(sender.find()) == 3


def test_an_incomplete_line_of_a_complete_file_is_given_up(folder, collect):
    file = folder / "x.log"
    file.write_text(write_line()[:40])
    age(file, gateway.COMPLETE_AFTER + 60)
    collect()
    assert not file.exists()


def test_a_file_of_several_chunks_with_an_endless_line_is_read_whole(folder, collect, monkeypatch):
    monkeypatch.setattr(gateway, "CHUNK", 2000)
    lines = [write_line(f"/{number}") for number in range(20)]
    (folder / "x.log").write_text("".join(lines[:10]) + "x" * 5000 + "\n" + "".join(lines[10:]))
    assert collect() == [f"GET /{number} 200" for number in range(20)]


def test_a_new_file_with_the_name_of_an_old_one_is_read_from_the_start(folder, collect, sender):
    file = folder / "x.log"
    file.write_text(write_line("/a-long-path-of-the-first-file"))
    collect()
    file.write_text(write_line("/1") + write_line("/2"))
    assert collect() == ["GET /1 200", "GET /2 200"]
    assert len(sender.find()) == 3


def test_concurrent_replicas_store_each_line_once(folder, app, sender, monkeypatch):
    monkeypatch.setattr(gateway, "CHUNK", 3000)
    for minute in range(3):
        text = "".join(write_line(f"/{minute}/{number}") for number in range(30))
        (folder / f"{minute}.log").write_text(text)
    counted: Counter[str] = Counter()

    def read() -> None:
        for _ in range(8):
            collect_log_records(
                app.database,
                folder,
                retention=KEPT,
                count=lambda stored, _hits: counted.update(r.message for r in stored),
            )

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(counted.values()) == {1}
    assert len(counted) == len(sender.find()) == 90


def test_a_reader_that_dies_before_its_commit_has_read_nothing(folder, collect, sender, monkeypatch):
    (folder / "x.log").write_text(write_line())
    with monkeypatch.context() as dying:
        dying.setattr(gateway.gateway_files, "set_position", lambda *_args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            collect()
    assert sender.find() == []
    assert len(collect()) == len(sender.find()) == 1


def test_a_record_of_a_day_without_a_partition_creates_it(folder, collect, sender):
    moment = datetime.now(UTC) - timedelta(days=9)
    (folder / "x.log").write_text(write_line(time=moment.isoformat()))
    assert len(collect()) == len(sender.find()) == 1


def test_a_secret_in_a_path_is_not_stored(folder, collect, sender):
    (folder / "x.log").write_text(write_line("/x/4111-1111-1111-1111"))
    collect()
    assert "1111-1111" not in str(sender.find())


def test_a_card_number_in_a_path_is_redacted_but_digits_before_a_status_are_not(folder, collect):
    # Together with the status, the first would look like a card number: 1770499999404.
    lines = [write_line(path, 404) for path in ("/products/1770499999", "/products/4242424242424242")]
    (folder / "a.log").write_text("".join(lines))
    assert collect() == ["GET /products/1770499999 404", "GET /products/[REDACTED] 404"]


def test_long_paths_are_cut_and_take_few_bytes(folder, app, collect, sender):
    def read_bytes() -> int:
        with app.database.transaction() as connection:
            query = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('records') WHERE isleaf"
            return connection.exec_driver_sql(query).scalar_one()

    before, count = read_bytes(), 400
    paths = ["/" + "/".join(secrets.token_hex(4) for _ in range(900)) for _ in range(count)]
    (folder / "x.log").write_text("".join(write_line(path, 404) for path in paths))
    assert collect() == [f"GET {path[:256]} 404" for path in paths]
    assert {record["attributes"]["url.path"] for record in sender.find()} <= {path[:256] for path in paths}
    assert (read_bytes() - before) / count < 8_000


def test_a_card_number_at_the_cut_is_not_stored(folder, collect):
    paths = ["/" + "x" * length + "/4242424242424242" for length in range(230, 260)]
    (folder / "x.log").write_text("".join(write_line(path, 404) for path in paths))
    assert [message for message in collect() if "4242" in message] == []


def test_other_attributes_that_a_client_chose_are_cut_too(folder, collect, sender):
    method, forwarded = "A" * 8000, "b" * 8000
    attributes = {"http.request.method": method, "client.address": forwarded}
    (folder / "x.log").write_text(write_line("/x", 405, attributes=attributes))
    assert collect() == [f"{'A' * 256} /x 405"]
    [record] = sender.find()
    assert max(len(str(value)) for value in record["attributes"].values()) == 256


def test_a_missing_folder_is_not_an_error(app, tmp_path):
    collect_log_records(app.database, tmp_path / "nowhere", retention=KEPT, count=print)


def test_metrics_count_by_method_and_status_and_group_unknown_methods(folder, app):
    registry = CollectorRegistry()
    lines = [write_line(), write_line(), write_line(status=502)]
    lines.append(write_line(attributes={"http.request.method": "HACK"}))
    (folder / "x.log").write_text("".join(lines))
    collect_log_records(app.database, folder, retention=KEPT, count=GatewayMetrics(registry).count_requests)

    def read(method: str, status: str) -> float | None:
        labels = {"http_request_method": method, "http_response_status_code": status}
        return registry.get_sample_value("gateway_requests_total", labels)

    assert (read("GET", "200"), read("GET", "502"), read("_OTHER", "200")) == (2, 1, 1)
    status = {"http_response_status_code": "502"}
    assert registry.get_sample_value("gateway_request_duration_seconds_sum", status) == 0.012


def test_a_cache_hit_is_counted_but_not_stored(folder, app, sender, caplog):
    registry = CollectorRegistry()
    metrics = GatewayMetrics(registry)
    file = folder / "x.log"
    file.write_text("GET 200 3\n" * 2 + write_line("/orders") + "HEAD 304 0\nGET 200 1")
    for _ in range(2):
        collect_log_records(app.database, folder, retention=KEPT, count=metrics.count_requests)
    assert sender.find_messages() == ["GET /orders 200"]
    with file.open("a") as stream:
        stream.write("0\nGET 2\nget 200 1\n")
    collect_log_records(app.database, folder, retention=KEPT, count=metrics.count_requests)
    assert "2 of the gateway's records could not be read" in caplog.text

    def read(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, {f"http_{key}": value for key, value in labels.items()})

    assert read("gateway_requests_total", request_method="GET", response_status_code="200") == 4
    assert read("gateway_requests_total", request_method="HEAD", response_status_code="304") == 1
    total = read("gateway_request_duration_seconds_sum", response_status_code="200")
    assert total == pytest.approx(0.003 * 2 + 0.012 + 0.010)
