"""An export in protobuf to records.

The parser of the official messages refuses a whole export for one byte that is not UTF-8, or for one value
that is nested too deep. The messages here are the official ones with some types changed into others that look
the same on the wire: a string is bytes, and a record or a resource is bytes that are parsed by themselves.
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

from logs.domain import SentRecord
from logs.errors import MalformedExport, RecordRejected
from logs.otlp.reading import attempt, check_depth, plain_float

EXPORT = logs_service_pb2.ExportLogsServiceRequest.DESCRIPTOR.full_name
RECORD = logs_pb2.LogRecord.DESCRIPTOR.full_name
RESOURCE = resource_pb2.Resource.DESCRIPTOR.full_name
# A scope's attributes are not kept, and so are not parsed at all.
APART = {("ResourceLogs", "resource"), ("ScopeLogs", "log_records"), ("InstrumentationScope", "attributes")}


def read_protobuf(body: bytes) -> Iterator[SentRecord | RecordRejected]:
    """Yield each record, or why it cannot be read; raise MalformedExport if the body is not protobuf."""
    try:
        export = _message_class(EXPORT).FromString(body)
    except DecodeError as error:
        raise MalformedExport from error
    for sender in export.resource_logs:
        resource = attempt(_read_resource, sender.resource)
        for group in sender.scope_logs:
            for record in group.log_records:
                yield attempt(_read_record, record, group.scope, resource)


@cache
def _message_class(name: str) -> Any:
    return GetMessageClass(_lenient_pool().FindMessageTypeByName(name))


@cache
def _lenient_pool() -> DescriptorPool:
    pool = DescriptorPool()
    for module in (common_pb2, resource_pb2, logs_pb2, logs_service_pb2):
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            for field in message.field:
                if field.type == field.TYPE_STRING or (message.name, field.name) in APART:
                    field.type = field.TYPE_BYTES
                    field.ClearField("type_name")
        pool.Add(file)
    return pool


def _parse(name: str, content: bytes) -> Any:
    try:
        return _message_class(name).FromString(content)
    except DecodeError as error:
        raise RecordRejected("it is not valid protobuf, or nested too deep") from error


def _read_resource(content: bytes) -> dict[str, Any]:
    return _read_attributes(_parse(RESOURCE, content).attributes)


def _read_record(content: bytes, scope: Any, resource: dict[str, Any] | RecordRejected) -> SentRecord:
    if isinstance(resource, RecordRejected):
        raise resource
    record = _parse(RECORD, content)
    return SentRecord(
        time_ns=record.time_unix_nano,
        observed_ns=record.observed_time_unix_nano,
        severity_number=record.severity_number,
        severity_text=_read_text(record.severity_text),
        body=_read_value(record.body),
        attributes=_read_attributes(record.attributes),
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        event_name=_read_text(record.event_name),
        scope=_read_text(scope.name),
        resource=resource,
    )


def _read_text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _read_attributes(attributes: Iterable[Any], depth: int = 0) -> dict[str, Any]:
    return {_read_text(each.key): _read_value(each.value, depth) for each in attributes}


def _read_value(value: Any, depth: int = 0) -> Any:
    check_depth(depth)
    kind = value.WhichOneof("value")
    found: Any = getattr(value, kind) if kind else None
    match kind:
        case "string_value":
            return _read_text(found)
        case "double_value":
            return plain_float(found)
        case "array_value":
            return [_read_value(item, depth + 1) for item in found.values]
        case "kvlist_value":
            return _read_attributes(found.values, depth + 1)
        case "bytes_value":
            return base64.b64encode(found).decode()
    return found
