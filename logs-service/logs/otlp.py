"""OTLP/HTTP: an export's body to records, and answers in the encoding of the request.

opentelemetry.io/docs/specs/otlp, version 1.9.
"""

import base64
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # It has no types.
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1 import common_pb2 as proto
from pydantic import ValidationError

from logs.domain import SentRecord, plain_float
from logs.errors import ExportTooLarge, MalformedExport
from logs.schemas import AnyValue, ExportRequest, KeyValue
from shared.errors import UnsupportedMediaType

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
LARGEST = 8 * 1024 * 1024  # Bytes of an export, as it comes and decompressed; the gateway has the same limit.

# google.rpc.Code, for the statuses that an export can meet.
_RPC_CODES = {400: 3, 401: 16, 403: 7, 413: 8, 415: 3, 429: 8, 503: 14}
_RPC_INTERNAL = 13


def decode_export(body: bytes, media_type: str, encoding: str) -> list[SentRecord]:
    """Return an export's records; raise UnsupportedMediaType, MalformedExport or ExportTooLarge."""
    if media_type not in {JSON, PROTOBUF}:
        raise UnsupportedMediaType
    plain = _decompress(body, encoding)
    return list(_decode_json(plain) if media_type == JSON else _decode_protobuf(plain))


def encode_answer(media_type: str, rejected: int, message: str) -> bytes:
    """Return an ExportLogsServiceResponse; one without rejections is empty, as the specification asks."""
    if media_type == PROTOBUF:
        answer = ExportLogsServiceResponse()
        if rejected:
            answer.partial_success.rejected_log_records = rejected
            answer.partial_success.error_message = message
        return bytes(answer.SerializeToString())
    if not rejected:
        return b"{}"
    return json.dumps(
        {"partialSuccess": {"rejectedLogRecords": str(rejected), "errorMessage": message}}
    ).encode()


def encode_status(media_type: str, status: int, message: str) -> bytes:
    """Return an error as a google.rpc.Status."""
    code = _RPC_CODES.get(status, _RPC_INTERNAL)
    if media_type != PROTOBUF:
        return json.dumps({"code": code, "message": message}).encode()
    # Two fields: 1, a varint, and 2, a string. They are not worth a package of their own.
    text = message.encode()
    return b"\x08" + bytes([code]) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _decompress(body: bytes, encoding: str) -> bytes:
    if encoding in {"", "identity"}:
        return body
    if encoding != "gzip":
        raise UnsupportedMediaType("The body's Content-Encoding must be gzip, or none.")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            # Never more than the limit is held, however much there would be.
            plain = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise MalformedExport("The body is not valid gzip.") from error
    if len(plain) > LARGEST:
        raise ExportTooLarge
    return plain


def _decode_json(body: bytes) -> Iterator[SentRecord]:
    try:
        export = ExportRequest.model_validate_json(body)
    except ValidationError as error:
        raise MalformedExport(_locate(error)) from error
    for sender in export.resource_logs or ():
        resource = _from_json(sender.resource.attributes if sender.resource else None)
        for group in sender.scope_logs or ():
            scope = group.scope.name if group.scope else None
            for record in group.log_records or ():
                yield SentRecord(
                    time_ns=record.time_unix_nano or 0,
                    observed_ns=record.observed_time_unix_nano or 0,
                    severity_number=record.severity_number or 0,
                    severity_text=record.severity_text or "",
                    body=_value_from_json(record.body),
                    attributes=_from_json(record.attributes),
                    trace_id=record.trace_id or "",
                    span_id=record.span_id or "",
                    event_name=record.event_name or "",
                    scope=scope or "",
                    resource=resource,
                )


def _locate(error: ValidationError) -> str:
    """Return a sentence with the place of the first fault, without the input."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return "The body is not valid JSON."
    place = ".".join(str(part) for part in first["loc"])
    return f"{MalformedExport.detail} At {place or 'the top'}: {first['msg']}."[:500]


def _from_json(attributes: Iterable[KeyValue] | None) -> dict[str, Any]:
    return {each.key: _value_from_json(each.value) for each in attributes or ()}


def _value_from_json(value: AnyValue | None) -> Any:  # noqa: PLR0911  # One for each kind of value.
    if value is None:
        return None
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return value.int_value
    if value.bool_value is not None:
        return value.bool_value
    if value.double_value is not None:
        return plain_float(value.double_value)
    if value.array_value is not None:
        return [_value_from_json(item) for item in value.array_value.values or ()]
    if value.kvlist_value is not None:
        return _from_json(value.kvlist_value.values)
    return value.bytes_value


def _decode_protobuf(body: bytes) -> Iterator[SentRecord]:
    try:
        export = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise MalformedExport from error
    for sender in export.resource_logs:
        resource = _from_protobuf(sender.resource.attributes)
        for group in sender.scope_logs:
            for record in group.log_records:
                yield SentRecord(
                    time_ns=record.time_unix_nano,
                    observed_ns=record.observed_time_unix_nano,
                    severity_number=record.severity_number,
                    severity_text=record.severity_text,
                    body=_value_from_protobuf(record.body),
                    attributes=_from_protobuf(record.attributes),
                    trace_id=record.trace_id.hex(),
                    span_id=record.span_id.hex(),
                    event_name=record.event_name,
                    scope=group.scope.name,
                    resource=resource,
                )


def _from_protobuf(attributes: Iterable[proto.KeyValue]) -> dict[str, Any]:
    return {each.key: _value_from_protobuf(each.value) for each in attributes}


def _value_from_protobuf(value: proto.AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "double_value":
        return plain_float(value.double_value)
    if kind == "array_value":
        return [_value_from_protobuf(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _from_protobuf(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)
