"""Errors of logs-service.

Problem
├── MalformedExport      400  malformed_export
├── RecordNotFound       404  record_not_found  (NotFound)
├── ExportTooLarge       413  export_too_large
├── StreamsTaken         503  streams_taken     (Unavailable)
└── IngestBusy           503  ingest_busy       (Unavailable)

RecordRejected: one record of an export, counted in `partial_success` while the others are stored.
DayMissing: a record's day has no partition yet.
"""

from collections.abc import Collection
from datetime import date

from shared.errors import NotFound, Problem, Unavailable


class MalformedExport(Problem):
    """The body is not valid in its declared encoding, JSON or protobuf."""

    status = 400
    code = "malformed_export"
    detail = "The body is not a valid ExportLogsServiceRequest."


class ExportTooLarge(Problem):
    """The body exceeds the size limit, compressed or decompressed, or the limits of an export's content."""

    status = 413
    code = "export_too_large"
    detail = (
        "The body is too large, compressed or decompressed, or it has too many records, attributes or values."
        " Send fewer records at a time."
    )


class IngestBusy(Unavailable):
    """This process is already reading as many exports as it may; the sender should retry."""

    code = "ingest_busy"
    detail = "Too many exports arrive at once. Try again in a moment."


class RecordNotFound(NotFound):
    """The record does not exist, or no longer exists."""

    code = "record_not_found"
    detail = "No such log record. It may have been deleted."


class StreamsTaken(Unavailable):
    """This process already serves as many streams as it may."""

    code = "streams_taken"
    detail = "Too many clients follow the log records. Try again in a moment."


class DayMissing(Exception):
    """Nothing was stored, because one of these days has no partition yet."""

    def __init__(self, days: Collection[date]) -> None:
        super().__init__(days)
        self.days = days


class RecordRejected(Exception):
    """The record can never be stored, so a retry is useless; the message is the reason."""
