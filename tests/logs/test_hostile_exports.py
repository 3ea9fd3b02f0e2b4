"""A small export that would expand in memory is refused before it does."""

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
from tests.logs.protobuf import write_field

ROOT = Path(__file__).parents[2]
# One wide character makes Python store the whole string with four bytes per character.
WIDE = "\N{GRINNING FACE}".encode() + b"x" * 60_000


def repeat(piece: bytes, reserved: int = 100) -> bytes:
    """Repeat a piece up to the size limit, minus the bytes reserved for what encloses it."""
    return piece * ((LARGEST - reserved) // len(piece))


def write_json(*records: bytes, members: bytes = b"") -> bytes:
    """Return an export of these records in JSON, with other members in its ResourceLogs."""
    return b'{"resourceLogs":[{' + members + b'"scopeLogs":[{"logRecords":[' + b",".join(records) + b"]}]}]}"


def write_text(text: bytes) -> bytes:
    """Return a record with this message."""
    return b'{"body":{"stringValue":"' + text + b'"}}'


def write_names(field: int, count: int) -> bytes:
    """Return attributes in protobuf with short names and no values."""
    return b"".join(write_field(field, write_field(1, b"%04x" % place)) for place in range(count))


def write_protobuf(records: bytes, resource: bytes = b"", scope: bytes = b"") -> bytes:
    """Return an export in protobuf with one scope group."""
    group = write_field(1, scope) + records
    return write_field(1, write_field(1, resource) + write_field(2, group))


NESTED = b'{"a":' * 20 + b"0" + b"}" * 20
DENSE = b",".join([b'{"key":"k%04d","value":{"intValue":%d}}' % (place, place + 1000) for place in range(15)])
EMPTY = b"\x12\x00"  # In protobuf, an empty record or scope group.

BODIES: dict[str, tuple[str, int, Callable[[], bytes]]] = {
    "empty resources": (JSON, 413, lambda: b'{"resourceLogs":[' + repeat(b"{},") + b"{}]}"),
    "empty groups": (JSON, 413, lambda: b'{"resourceLogs":[{"scopeLogs":[' + repeat(b"{},") + b"{}]}]}"),
    "empty records": (JSON, 413, lambda: write_json(repeat(b"{},") + b"{}")),
    "objects": (JSON, 413, lambda: b'{"a":[' + repeat(b'{"":0},') + b"0]}"),
    "lists": (JSON, 413, lambda: b'{"a":[' + repeat(b"[],") + b"0]}"),
    "strings": (JSON, 413, lambda: b'{"a":[' + repeat(b'"ab",') + b"0]}"),
    "a deep value": (JSON, 200, lambda: b'{"a":' * 200_000 + b"0" + b"}" * 200_000),
    "deep values": (
        JSON,
        413,
        lambda: b'{"a":[' + repeat(b'{"a":' * 900 + b"0" + b"}" * 900 + b",") + b"0]}",
    ),
    "many records": (JSON, 413, lambda: write_json(*[b"{}"] * (MOST_RECORDS + 1))),
    "a large string": (JSON, 200, lambda: write_json(write_text(b"\xff" * (LARGEST - 200)))),
    "large strings": (
        JSON,
        200,
        lambda: write_json(
            b'{"attributes":['
            + b",".join([b'{"key":"k","value":' + write_text(b"\xff" * 60_000)[8:]] * 130)
            + b"]}"
        ),
    ),
    "wide strings": (JSON, 200, lambda: write_json(*[write_text(WIDE)] * 130)),
    "wide strings and nested values": (
        JSON,
        200,
        lambda: write_json(*[write_text(WIDE)] * 125, members=b'"a":[' + b",".join([NESTED] * 4000) + b"],"),
    ),
    "dense records": (JSON, 200, lambda: write_json(*[b'{"attributes":[' + DENSE + b"]}"] * 1500)),
    "the maximum number of records": (
        JSON,
        200,
        lambda: write_json(*[write_text(WIDE[:700])] * MOST_RECORDS),
    ),
    "empty resources in protobuf": (PROTOBUF, 413, lambda: repeat(b"\x0a\x00")),
    "empty groups in protobuf": (PROTOBUF, 413, lambda: write_field(1, repeat(EMPTY))),
    "empty records in protobuf": (PROTOBUF, 413, lambda: write_protobuf(repeat(EMPTY))),
    "empty resources after unmatched group tags": (PROTOBUF, 413, lambda: b"\x0b\x0c" + repeat(b"\x0a\x00")),
    "unknown fields": (PROTOBUF, 413, lambda: repeat(b"\x78\x01")),
    "attributes of a resource": (PROTOBUF, 200, lambda: write_protobuf(EMPTY, resource=repeat(b"\x0a\x00"))),
    "attributes of a scope": (PROTOBUF, 200, lambda: write_protobuf(EMPTY, scope=repeat(b"\x1a\x00"))),
    "attributes of a record": (PROTOBUF, 200, lambda: write_protobuf(write_field(2, repeat(b"\x32\x00")))),
    "attributes of many records": (
        PROTOBUF,
        413,
        lambda: write_protobuf(repeat(write_field(2, write_names(6, 9000)))),
    ),
    "the maximum number of attributes": (
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
    "one large string of many records": (
        PROTOBUF,
        413,
        lambda: write_protobuf(EMPTY * MOST_RECORDS, resource=write_field(1, write_field(1, b"k" * 100_000))),
    ),
}


def read_limit() -> int:
    """Return the smallest memory limit of a container, in MiB."""
    limits = re.findall(r"mem_limit: ([0-9]+)m", (ROOT / "docker-compose.yml").read_text())
    return min(map(int, limits))


def test_concurrent_exports_of_any_kind_stay_within_the_memory_of_a_container(
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
    # The rest is for gunicorn's parent process. Without the limits, a single body would exceed all memory.
    assert measured["peak"] < read_limit() * 0.9, measured


def test_an_export_at_the_limit_is_accepted_and_one_beyond_it_is_refused(sender: Sender) -> None:
    cases = {
        "records": (MOST_RECORDS, b"{}", b'{"severityNumber":9}'),
        # The enclosing objects have six members and items.
        "members": ((MOST_MEMBERS - 6) // 4, b'{"a":[0,0]}', b'{"a":[0]}'),
    }
    found = {}
    for name, (count, record, last) in cases.items():
        at_limit = write_json(*[record] * (count - 1), last)
        beyond = write_json(*[record] * count, last)
        found[name] = [sender.export_gzip(body, media_type=JSON).status_code for body in (at_limit, beyond)]
    assert found == {"records": [200, 413], "members": [413, 413]}
