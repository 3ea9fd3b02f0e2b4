"""What the bench sends and asks about log records."""

import gzip
from itertools import islice
from typing import cast
from uuid import UUID

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from bench.errors import CannotMeasure
from bench.logs import EXPORT, make_export, measure_ingest, read_count, render
from bench.past_records import make_questions
from bench.shop import Shop
from tests.conftest import FakeServer, send_json

NOW = 1_700_000_000_000_000_000


def test_an_export_has_as_many_records_as_our_services_send_each_with_an_id_of_its_own() -> None:
    export = ExportLogsServiceRequest.FromString(gzip.decompress(make_export(NOW)))
    records = export.resource_logs[0].scope_logs[0].log_records
    ids = [
        UUID(pair.value.string_value)
        for record in records
        for pair in record.attributes
        if pair.key == "log.record.uid"
    ]
    assert len(set(ids)) == len(records) == EXPORT
    assert {each.version for each in ids} == {7}
    assert {each.int >> 80 for each in ids} == {NOW // 1_000_000}


class FakeShop:
    """A shop that is logs-service alone."""

    def __init__(self, server: FakeServer) -> None:
        self.services = {"logs-service": {"url": server.url}}


def test_each_export_is_sent_once_and_the_refused_ones_are_counted(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = iter([200, 503, 200, 200, 200])
    fake_server.answer = lambda handler, _body: send_json(handler, b"{}", next(statuses))
    monkeypatch.setattr("bench.logs.EXPORTS", 5)
    ingest = measure_ingest(cast(Shop, FakeShop(fake_server)), {"Authorization": "Bearer t"}, seconds=20.0)
    assert (ingest["exports"], ingest["refused"]) == (4, 1)
    assert ingest["rate"] > 0
    assert 0 < ingest["p50"] <= ingest["p99"]
    bodies = {body for _, _, _, body in fake_server.requests}
    assert len(bodies) == 5
    for body in bodies:
        ExportLogsServiceRequest.FromString(gzip.decompress(body))
    assert {(method, path) for method, path, _, _ in fake_server.requests} == {("POST", "/v1/logs")}
    assert {headers["Authorization"] for _, _, headers, _ in fake_server.requests} == {"Bearer t"}


def test_no_two_questions_are_the_same() -> None:
    for title, questions in make_questions(1_000_000).items():
        if not title.startswith("histogram of"):
            asked = list(islice(questions, 40))
            assert len(set(asked)) > 30, title


@pytest.mark.parametrize("text", ["999", "many", "-5", "1e6"])
def test_a_count_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(CannotMeasure, match="LOG_RECORDS"):
        read_count({"LOG_RECORDS": text})
    assert read_count({"LOG_RECORDS": ""}) == 1_000_000


def test_the_tables_show_what_was_measured() -> None:
    memory = {"at_rest": 90.0, "after": 100.0}
    results = {
        "count": 5000,
        "ingest": {
            "rate": 1234,
            "exports": 5,
            "refused": 0,
            "export_bytes": 5,
            "p50": 1.0,
            "p99": 2.0,
            "memory": memory,
        },
        "disk": {"bytes": 876, "heap_bytes": 400},
        "questions": [{"title": "one trace", "p50": 3.0, "p99": 4.0, "found": 5.0}],
    }
    text = "\n".join(render(results))
    assert "1234" in text
    assert "876 bytes" in text
    assert "| one trace |" in text
