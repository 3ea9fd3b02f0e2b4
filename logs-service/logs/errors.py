"""logs-service's refusals.

Problem
├── MalformedExport      400  malformed_export
├── ExportTooLarge       413  export_too_large
└── IngestBusy           503  ingest_busy       (Unavailable)

RecordRejected: one record of many, told in `partial_success` beside the others' acceptance.
"""

from shared.errors import Problem, Unavailable


class MalformedExport(Problem):
    """The body is not the OTLP message that it is declared to be."""

    status = 400
    code = "malformed_export"
    detail = "The body is not a valid ExportLogsServiceRequest."


class ExportTooLarge(Problem):
    """The body is larger, as it came or after decompression, than one request may be."""

    status = 413
    code = "export_too_large"
    detail = "The body is too large, as it came or decompressed; send fewer records at a time."


class IngestBusy(Unavailable):
    """As many exports are being read as this process reads at once; the sender's retry will find room."""

    code = "ingest_busy"
    detail = "Too many log records arrive at once; try again in a moment."


class RecordRejected(Exception):
    """This record cannot be kept, whoever sends it again."""
