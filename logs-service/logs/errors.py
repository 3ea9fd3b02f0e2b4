"""logs-service's refusals.

Problem
├── MalformedExport      400  malformed_export
├── RecordNotFound       404  record_not_found  (NotFound)
├── ExportTooLarge       413  export_too_large
├── StreamsTaken         503  streams_taken     (Unavailable)
└── IngestBusy           503  ingest_busy       (Unavailable)

RecordRejected: one record of many, counted in `partial_success` beside the others that are kept.
DayMissing: there is no partition yet for a record's day.
"""

from collections.abc import Collection
from datetime import date

from shared.errors import NotFound, Problem, Unavailable


class MalformedExport(Problem):
    """The body as a whole is not the JSON or protobuf that it is declared to be."""

    status = 400
    code = "malformed_export"
    detail = "The body is not a valid ExportLogsServiceRequest."


class ExportTooLarge(Problem):
    """The body is larger, as it came or decompressed, or says more than one request may."""

    status = 413
    code = "export_too_large"
    detail = (
        "The body is too large, as it came or decompressed, or has too many records, attributes or values;"
        " send fewer records at a time."
    )


class IngestBusy(Unavailable):
    """As many exports are being read as this process reads at once; the sender's retry will find room."""

    code = "ingest_busy"
    detail = "Too many log records arrive at once; try again in a moment."


class RecordNotFound(NotFound):
    """There is no such record, or not any more."""

    code = "record_not_found"
    detail = "There is no such log record, or it was dropped meanwhile."


class StreamsTaken(Unavailable):
    """As many follow the records as this process serves at once."""

    code = "streams_taken"
    detail = "Too many follow the log records just now; try again in a moment."


class DayMissing(Exception):
    """Nothing was stored: one of these days has to be made first."""

    def __init__(self, days: Collection[date]) -> None:
        super().__init__(days)
        self.days = days


class RecordRejected(Exception):
    """This record cannot be kept, however often it is sent; the message says what is wrong with it."""
