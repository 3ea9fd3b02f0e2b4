"""An export that is small when it comes and large once it is read is refused before it takes much memory."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from logs.otlp import JSON, LARGEST, PROTOBUF
from logs.otlp.from_json import MOST_MEMBERS
from logs.otlp.reading import MOST_RECORDS
from tests.logs.conftest import Sender
from tests.logs.test_odd_records import write_field

ROOT = Path(__file__).parents[2]
WIDE = (
    "\N{GRINNING FACE}".encode() + b"x" * 60_000
)  # One wide character takes a whole text to four bytes each.


def repeat(piece: bytes, less: int = 100) -> bytes:
    """Return as many pieces as there is room for, but for so many bytes around them."""
    return piece * ((LARGEST - less) // len(piece))


def write_json(*records: bytes, beside: bytes = b"") -> bytes:
    """Return an export of these records in JSON, with other members of its sender."""
    return b'{"resourceLogs":[{' + beside + b'"scopeLogs":[{"logRecords":[' + b",".join(records) + b"]}]}]}"


def write_text(text: bytes) -> bytes:
    """Return a record of that text."""
    return b'{"body":{"stringValue":"' + text + b'"}}'


def write_names(field: int, count: int) -> bytes:
    """Return attributes in protobuf with a short name each, and no value."""
    return b"".join(write_field(field, write_field(1, b"%04x" % place)) for place in range(count))


def write_protobuf(records: bytes, resource: bytes = b"", scope: bytes = b"") -> bytes:
    """Return an export in protobuf of a group of records."""
    group = write_field(1, scope) + records
    return write_field(1, write_field(1, resource) + write_field(2, group))


NESTED = b'{"a":' * 20 + b"0" + b"}" * 20
DENSE = b",".join([b'{"key":"k%04d","value":{"intValue":%d}}' % (place, place + 1000) for place in range(15)])
EMPTY = b"\x12\x00"  # A record in protobuf, and a group.

BODIES: dict[str, tuple[str, int, Callable[[], bytes]]] = {
    "empty senders": (JSON, 413, lambda: b'{"resourceLogs":[' + repeat(b"{},") + b"{}]}"),
    "empty groups": (JSON, 413, lambda: b'{"resourceLogs":[{"scopeLogs":[' + repeat(b"{},") + b"{}]}]}"),
    "empty records": (JSON, 413, lambda: write_json(repeat(b"{},") + b"{}")),
    "objects": (JSON, 413, lambda: b'{"a":[' + repeat(b'{"":0},') + b"0]}"),
    "lists": (JSON, 413, lambda: b'{"a":[' + repeat(b"[],") + b"0]}"),
    "texts": (JSON, 413, lambda: b'{"a":[' + repeat(b'"ab",') + b"0]}"),
    "a deep value": (JSON, 200, lambda: b'{"a":' * 200_000 + b"0" + b"}" * 200_000),
    "deep values": (
        JSON,
        413,
        lambda: b'{"a":[' + repeat(b'{"a":' * 900 + b"0" + b"}" * 900 + b",") + b"0]}",
    ),
    "many records": (JSON, 413, lambda: write_json(*[b"{}"] * (MOST_RECORDS + 1))),
    "a large text": (JSON, 200, lambda: write_json(write_text(b"\xff" * (LARGEST - 200)))),
    "large texts": (
        JSON,
        200,
        lambda: write_json(
            b'{"attributes":['
            + b",".join([b'{"key":"k","value":' + write_text(b"\xff" * 60_000)[8:]] * 130)
            + b"]}"
        ),
    ),
    "wide texts": (JSON, 200, lambda: write_json(*[write_text(WIDE)] * 130)),
    "wide texts and nested values": (
        JSON,
        200,
        lambda: write_json(*[write_text(WIDE)] * 125, beside=b'"a":[' + b",".join([NESTED] * 4000) + b"],"),
    ),
    "dense records": (JSON, 200, lambda: write_json(*[b'{"attributes":[' + DENSE + b"]}"] * 1500)),
    "as many records as may be": (JSON, 200, lambda: write_json(*[write_text(WIDE[:700])] * MOST_RECORDS)),
    "empty senders in protobuf": (PROTOBUF, 413, lambda: repeat(b"\x0a\x00")),
    "empty groups in protobuf": (PROTOBUF, 413, lambda: write_field(1, repeat(EMPTY))),
    "empty records in protobuf": (PROTOBUF, 413, lambda: write_protobuf(repeat(EMPTY))),
    "empty senders after a group's ends": (PROTOBUF, 413, lambda: b"\x0b\x0c" + repeat(b"\x0a\x00")),
    "unknown fields": (PROTOBUF, 413, lambda: repeat(b"\x78\x01")),
    "attributes of a resource": (PROTOBUF, 200, lambda: write_protobuf(EMPTY, resource=repeat(b"\x0a\x00"))),
    "attributes of a scope": (PROTOBUF, 200, lambda: write_protobuf(EMPTY, scope=repeat(b"\x1a\x00"))),
    "attributes of a record": (PROTOBUF, 200, lambda: write_protobuf(write_field(2, repeat(b"\x32\x00")))),
    "attributes of many records": (
        PROTOBUF,
        413,
        lambda: write_protobuf(repeat(write_field(2, write_names(6, 9000)))),
    ),
    "as many attributes as may be": (
        PROTOBUF,
        200,
        lambda: write_protobuf(write_field(2, write_names(6, 9000)) * 33),
    ),
    "lists in protobuf": (
        PROTOBUF,
        413,
        lambda: write_protobuf(repeat(write_field(2, write_field(5, write_field(5, b"\x0a\x00" * 120_000))))),
    ),
    "one resource of many records": (
        PROTOBUF,
        413,
        lambda: write_protobuf(EMPTY * MOST_RECORDS, resource=write_names(1, 9000)),
    ),
    "one large text of many records": (
        PROTOBUF,
        413,
        lambda: write_protobuf(EMPTY * MOST_RECORDS, resource=write_field(1, write_field(1, b"k" * 100_000))),
    ),
}


def read_limit() -> int:
    """Return the MiB of memory that the container of logs-service has."""
    limits = re.findall(r"mem_limit: ([0-9]+)m", (ROOT / "docker-compose.yml").read_text())
    return min(map(int, limits))


def test_no_export_takes_a_container_beyond_its_memory_however_many_come_at_once(
    make_database: Callable[[str], str], tmp_path: Path
) -> None:
    for name, (media_type, _status, write) in BODIES.items():
        suffix = ".json" if media_type == JSON else ".protobuf"
        body = write()
        assert len(body) <= LARGEST, name
        (tmp_path / f"{name}{suffix}").write_bytes(gzip.compress(body, 1))
    done = subprocess.run(
        [sys.executable, "-m", "tests.logs.measure_hostile", make_database("logs-service"), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'logs-service'}"},
        capture_output=True,
        check=True,
    )
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["statuses"] == {name: status for name, (_type, status, _write) in BODIES.items()}
    # The rest is for gunicorn's other process. Without a bound, one of these bodies takes more than there is.
    assert measured["peak"] < read_limit() * 0.9, measured


def test_an_export_of_as_much_as_may_be_is_kept_whole_and_one_more_is_none(sender: Sender) -> None:
    cases = {
        "records": (MOST_RECORDS, b"{}", b'{"severityNumber":9}'),
        # Around the records stand six members and items.
        "members": ((MOST_MEMBERS - 6) // 4, b'{"a":[0,0]}', b'{"a":[0]}'),
    }
    found = {}
    for name, (count, record, last) in cases.items():
        fitting = write_json(*[record] * (count - 1), last)
        beyond = write_json(*[record] * count, last)
        found[name] = [sender.export_gzip(body, media_type=JSON).status_code for body in (fitting, beyond)]
    assert found == {"records": [200, 413], "members": [413, 413]}
