"""Property tests: no generated export causes an internal error."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logs.otlp import JSON, PROTOBUF
from tests.logs.test_export import make_message

few_or_many = pytest.mark.parametrize("examples", [20, pytest.param(150, marks=pytest.mark.long)])


@few_or_many
def test_random_bytes_never_cause_an_internal_error(sender, examples):
    @settings(max_examples=examples)
    @given(
        body=st.one_of(
            st.binary(max_size=200),
            st.binary(max_size=200).map(gzip.compress),
            st.binary(max_size=50).map(lambda tail: make_message().SerializeToString() + tail),
        ),
        media_type=st.sampled_from([JSON, PROTOBUF, "text/plain"]),
        encoding=st.sampled_from(["", "gzip"]),
    )
    def check(body, media_type, encoding):
        answer = sender.post(body, media_type, **{"Content-Encoding": encoding})
        assert answer.status_code in {200, 400, 413, 415}
        assert answer.content_type == (PROTOBUF if media_type == PROTOBUF else JSON)

    check()


# Any JSON, with lone surrogates, numbers of any size, NaN and infinities.
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


text = st.text(max_size=20)
kinds = ["stringValue", "intValue", "boolValue", "doubleValue", "bytesValue", "arrayValue", "kvlistValue"]
invalid_value = st.dictionaries(st.sampled_from([*kinds, "values", "key", "value"]), any_json, max_size=2)


names = st.sampled_from(
    ["timeUnixNano", "severityNumber", "severityText", "body", "attributes", "traceId", "eventName"]
)


value = st.recursive(
    st.one_of(
        st.builds(lambda it: {"stringValue": it}, text),
        st.builds(lambda it: {"intValue": it}, st.integers()),
        st.builds(lambda it: {"doubleValue": it}, st.floats()),
        st.builds(lambda it: {"boolValue": it}, st.booleans()),
        st.just({}),
    ),
    lambda inner: st.one_of(
        st.builds(lambda items: {"arrayValue": {"values": items}}, st.lists(inner, max_size=3)),
        st.builds(
            lambda items: {"kvlistValue": {"values": [{"key": k, "value": v} for k, v in items]}},
            st.lists(st.tuples(text, inner), max_size=3),
        ),
    ),
    max_leaves=5,
)


attributes = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(
                ["order.id", "request.id", "log.record.uid", "service.name", "service.instance.id"]
            )
            | text,
            "value": value,
        }
    ),
    max_size=4,
)


valid_record = st.fixed_dictionaries(
    {},
    optional={
        "timeUnixNano": st.integers(),
        "observedTimeUnixNano": st.integers(0, 2**64 - 1).map(str),
        "severityNumber": st.integers() | text,
        "severityText": text,
        "body": value,
        "attributes": attributes,
        "traceId": text,
        "spanId": text,
        "eventName": text,
    },
)


@few_or_many
def test_every_valid_record_is_stored_or_rejected_and_can_be_read(sender, examples):
    @settings(max_examples=examples)
    @given(record=valid_record, resource=attributes)
    def check(record, resource):
        export = {
            "resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [{"logRecords": [record]}]}]
        }
        answer = sender.post(json.dumps(export).encode())
        assert answer.status_code == 200, answer.data
        sender.find()

    check()


@few_or_many
def test_a_record_with_wrong_types_is_stored_or_rejected_and_can_be_read(sender, examples):
    @settings(max_examples=examples)
    @given(record=any_json | st.dictionaries(names, any_json | invalid_value), export=any_json)
    def check(record, export):
        assert sender.export(record).status_code == 200
        sender.find()
        # Any JSON in place of the resources.
        assert sender.post(json.dumps({"resourceLogs": export}).encode()).status_code == 200

    check()
