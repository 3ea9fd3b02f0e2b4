"""Read an export in protobuf.

The parser of the official messages rejects a whole export for one byte that is not UTF-8 or for one value
that is nested too deeply, and it expands an empty message of two bytes to a hundred. So this module reads the
enclosing messages field by field, without a copy, and parses each record, resource and scope separately. For
these it changes the official messages: strings become bytes, which have the same wire format.
"""

import base64
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto  # type: ignore[import-untyped]  # No types.
from google.protobuf.descriptor_pool import DescriptorPool  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from google.protobuf.message_factory import GetMessageClass  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from logs.domain.log_records import SentRecord
from logs.errors import MalformedExport, RecordRejected
from logs.otlp.reading import LARGEST_MESSAGE, Budget, attempt, check_depth, plain_float

RECORD = logs_pb2.LogRecord.DESCRIPTOR.full_name
RESOURCE = resource_pb2.Resource.DESCRIPTOR.full_name
SCOPE = common_pb2.InstrumentationScope.DESCRIPTOR.full_name
# Field numbers of the enclosing messages.
SENDERS = logs_service_pb2.ExportLogsServiceRequest.RESOURCE_LOGS_FIELD_NUMBER
OF_SENDER, GROUPS = logs_pb2.ResourceLogs.RESOURCE_FIELD_NUMBER, logs_pb2.ResourceLogs.SCOPE_LOGS_FIELD_NUMBER
OF_GROUP, RECORDS = logs_pb2.ScopeLogs.SCOPE_FIELD_NUMBER, logs_pb2.ScopeLogs.LOG_RECORDS_FIELD_NUMBER
SCOPE_ATTRIBUTES = ("InstrumentationScope", "attributes")
VARINT, FIXED_64, BYTES, GROUP_BEGINS, GROUP_ENDS, FIXED_32 = range(6)  # The wire types.
LONGEST_VARINT = 10  # Bytes.


def read_protobuf(body: bytes) -> Iterator[SentRecord | RecordRejected]:
    """Yield each record, or the reason for its rejection.

    Raises MalformedExport if the body is not protobuf, and ExportTooLarge if it has too many records or
    values.
    """
    budget = Budget()
    for sender in _read_fields(memoryview(body), budget).get(SENDERS, []):
        fields = _read_fields(sender, budget)
        # A message that is split over two fields is their concatenation.
        written = b"".join(fields.get(OF_SENDER, []))
        resource = attempt(_read_resource, written, budget)
        values = 0 if isinstance(resource, RecordRejected) else len(resource)
        for group in fields.get(GROUPS, []):
            of_group = _read_fields(group, budget)
            scope = attempt(_read_scope, b"".join(of_group.get(OF_GROUP, [])))
            for record in of_group.get(RECORDS, []):
                budget.take_record(size=len(record) + len(written), values=values)
                yield attempt(_read_record, record, scope, resource, budget)


def _read_fields(message: memoryview, budget: Budget) -> dict[int, list[memoryview]]:
    """Return the length-delimited fields of a message, by number (protobuf.dev, encoding).

    Raises MalformedExport or ExportTooLarge.
    """
    found: dict[int, list[memoryview]] = {}
    position = 0
    while position < len(message):
        budget.take_field()
        tag, position = _read_varint(message, position)
        number, kind = tag >> 3, tag & 7
        length = {FIXED_64: 8, FIXED_32: 4, GROUP_BEGINS: 0, GROUP_ENDS: 0}.get(kind)
        if kind in {VARINT, BYTES}:
            length, position = _read_varint(message, position)
        if number == 0 or length is None:
            raise MalformedExport
        if kind == VARINT:
            continue
        if kind == BYTES:
            found.setdefault(number, []).append(message[position : position + length])
        position += length
    if position > len(message):
        raise MalformedExport
    return found


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return a varint and the position after it; raise MalformedExport."""
    number = 0
    for place, byte in enumerate(message[position : position + LONGEST_VARINT], 1):
        number |= (byte & 0x7F) << 7 * (place - 1)
        if byte < 0x80:
            return number, position + place
    raise MalformedExport


@cache
def _message_class(name: str) -> Any:
    return GetMessageClass(_lenient_pool().FindMessageTypeByName(name))


@cache
def _lenient_pool() -> DescriptorPool:
    pool = DescriptorPool()
    for module in (common_pb2, resource_pb2, logs_pb2):
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            for field in message.field:
                # A scope's attributes are not stored, so they are not parsed either.
                if field.type == field.TYPE_STRING or (message.name, field.name) == SCOPE_ATTRIBUTES:
                    field.type = field.TYPE_BYTES
                    field.ClearField("type_name")
        pool.Add(file)
    return pool


def _parse(name: str, content: bytes | memoryview) -> Any:
    if len(content) > LARGEST_MESSAGE:
        raise RecordRejected("it is too large")
    try:
        return _message_class(name).FromString(bytes(content))
    except DecodeError as error:
        raise RecordRejected("it is not valid protobuf, or it is nested too deeply") from error


def _read_resource(content: bytes, budget: Budget) -> dict[str, Any]:
    return _read_attributes(_parse(RESOURCE, content).attributes, budget)


def _read_scope(content: bytes) -> str:
    return _read_text(_parse(SCOPE, content).name)


def _read_record(
    content: memoryview,
    scope: str | RecordRejected,
    resource: dict[str, Any] | RecordRejected,
    budget: Budget,
) -> SentRecord:
    if isinstance(resource, RecordRejected):
        raise resource
    if isinstance(scope, RecordRejected):
        raise scope
    record = _parse(RECORD, content)
    return SentRecord(
        time_ns=record.time_unix_nano,
        observed_ns=record.observed_time_unix_nano,
        severity_number=record.severity_number,
        severity_text=_read_text(record.severity_text),
        body=_read_value(record.body, budget),
        attributes=_read_attributes(record.attributes, budget),
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        event_name=_read_text(record.event_name),
        scope=scope,
        resource=resource,
    )


def _read_text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _read_attributes(attributes: Iterable[Any], budget: Budget, depth: int = 0) -> dict[str, Any]:
    return {_read_text(each.key): _read_value(each.value, budget, depth) for each in attributes}


def _read_value(value: Any, budget: Budget, depth: int = 0) -> Any:
    check_depth(depth)
    budget.take_values()
    kind = value.WhichOneof("value")
    found: Any = getattr(value, kind) if kind else None
    match kind:
        case "string_value":
            return _read_text(found)
        case "double_value":
            return plain_float(found)
        case "array_value":
            return [_read_value(item, budget, depth + 1) for item in found.values]
        case "kvlist_value":
            return _read_attributes(found.values, budget, depth + 1)
        case "bytes_value":
            return base64.b64encode(found).decode()
    return found
