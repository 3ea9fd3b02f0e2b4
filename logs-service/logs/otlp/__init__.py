"""OTLP/HTTP: an export's body to records, and answers in the encoding of the request.

opentelemetry.io/docs/specs/otlp, version 1.9.
"""

import gzip
import io
import json
import zlib

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from logs.domain import SentRecord
from logs.errors import ExportTooLarge, MalformedExport, RecordRejected
from logs.otlp.from_json import read_json
from logs.otlp.from_protobuf import read_protobuf
from shared.errors import UnsupportedMediaType

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
LARGEST = 8 * 1024 * 1024  # Bytes of an export, as it comes and decompressed; the gateway has the same limit.

# google.rpc.Code, for the statuses that an export can meet.
_RPC_CODES = {400: 3, 401: 16, 403: 7, 413: 8, 415: 3, 429: 8, 503: 14}
_RPC_INTERNAL = 13


def decode_export(body: bytes, media_type: str, encoding: str = "") -> list[SentRecord | RecordRejected]:
    """Return an export's records, and a refusal in the place of each that cannot be read.

    Raises UnsupportedMediaType, MalformedExport or ExportTooLarge.
    """
    if media_type not in {JSON, PROTOBUF}:
        raise UnsupportedMediaType
    plain = decompress(body, encoding)
    return list(read_json(plain) if media_type == JSON else read_protobuf(plain))


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


def decompress(body: bytes, encoding: str) -> bytes:
    """Return the body as it was before it was packed.

    Raises UnsupportedMediaType, MalformedExport or ExportTooLarge.
    """
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
