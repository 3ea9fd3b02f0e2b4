"""What the bench sends and asks about log records."""

import gzip
from itertools import islice
from uuid import UUID

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from bench.logs import EXPORT, make_export, read_count, render
from bench.past_records import make_questions
from bench.shop import CannotMeasure

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
        "disk": {"bytes": 876, "heap_bytes": 400, "write_seconds": 1},
        "questions": [{"title": "one trace", "p50": 3.0, "p99": 4.0, "found": 5.0}],
    }
    text = "\n".join(render(results))
    assert "1234" in text
    assert "876 bytes" in text
    assert "| one trace |" in text
