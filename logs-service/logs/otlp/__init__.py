"""OTLP/HTTP: decode the body of an export, and encode responses like the request.

opentelemetry.io/docs/specs/otlp, version 1.9.
"""

import gzip
import io
import json
import zlib

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from logs.domain.log_records import SentRecord
from logs.errors import ExportTooLarge, MalformedExport, RecordRejected
from logs.otlp.from_json import read_json
from logs.otlp.from_protobuf import read_protobuf
from shared.errors import UnsupportedMediaType

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
LARGEST = 8 * 1024 * 1024  # Bytes of an export, compressed or decompressed; the gateway has the same limit.

# google.rpc.Code by HTTP status, for every error of this route.
_RPC_CODES = {400: 3, 401: 16, 403: 7, 413: 8, 415: 3, 429: 8, 503: 14}
_RPC_INTERNAL = 13


def decode_export(body: bytes, media_type: str, encoding: str = "") -> list[SentRecord | RecordRejected]:
    """Return an export's records, with a RecordRejected in place of each unreadable one.

    Raises UnsupportedMediaType, MalformedExport or ExportTooLarge.
    """
    if media_type not in {JSON, PROTOBUF}:
        raise UnsupportedMediaType
    decompressed = decompress(body, encoding)
    return list(read_json(decompressed) if media_type == JSON else read_protobuf(decompressed))


def encode_answer(media_type: str, rejected: int, message: str) -> bytes:
    """Return an ExportLogsServiceResponse, which must be empty if there are no rejections."""
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
    """Return an error as a google.rpc.Status, in protobuf or JSON."""
    code = _RPC_CODES.get(status, _RPC_INTERNAL)
    if media_type != PROTOBUF:
        return json.dumps({"code": code, "message": message}).encode()
    # Field 1 is a varint and field 2 a string. That does not justify another dependency.
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
    """Return the decompressed body.

    Raises UnsupportedMediaType, MalformedExport or ExportTooLarge.
    """
    if encoding in {"", "identity"}:
        return body
    if encoding != "gzip":
        raise UnsupportedMediaType("The Content-Encoding must be gzip, or absent.")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            # Stop at the limit, so that a decompression bomb does not fill the memory.
            decompressed = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise MalformedExport("The body is not valid gzip.") from error
    if len(decompressed) > LARGEST:
        raise ExportTooLarge
    return decompressed
