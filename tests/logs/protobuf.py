"""Encode OTLP exports in protobuf, including invalid ones."""

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.logs.conftest import NOW


def write_field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field of a message."""
    length, written = len(content), bytearray([number << 3 | 2])
    while length > 0x7F:
        written.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*written, length]) + content


def nest_protobuf(levels: int) -> bytes:
    """Return an AnyValue nested in `levels` objects; the official library has a limit."""
    value = AnyValue(string_value="core").SerializeToString()
    for _ in range(levels):
        value = write_field(6, write_field(1, write_field(1, b"k") + write_field(2, value)))
    return value


def make_protobuf(*records: bytes, resource: bytes = b"", scope: bytes = b"") -> bytes:
    """Return an export with a valid neighbour and with these encoded records, resource and scope."""
    valid = ExportLogsServiceRequest()
    valid_records = valid.resource_logs.add().scope_logs.add().log_records
    valid_records.add(time_unix_nano=NOW).body.string_value = "neighbour"
    group = b"".join([write_field(1, scope), *(write_field(2, record) for record in records)])
    return valid.SerializeToString() + write_field(1, write_field(1, resource) + write_field(2, group))


def make_protobuf_record(body: bytes = b"invalid", *attributes: bytes) -> bytes:
    """Return a LogRecord with this body and these encoded attributes."""
    time = b"\x09" + NOW.to_bytes(8, "little")
    return time + write_field(5, write_field(1, body)) + b"".join(write_field(6, each) for each in attributes)


def make_attribute(key: bytes, value: bytes) -> bytes:
    """Return a KeyValue with a string."""
    return write_field(1, key) + write_field(2, write_field(1, value))
