"""Log records as JSON on standard output, one line each."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, NamedTuple

from shared import context
from shared.redaction import redact_attributes, redact_text
from shared.settings import ServiceSettings

# The built-in fields of a LogRecord. All others were passed with `extra`, and become attributes.
_ENTRY = "_shopfleet_entry"
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", _ENTRY}

_PLAIN = logging.Formatter()


class Entry(NamedTuple):
    """The redacted contents of a record, the same for every handler."""

    message: str
    attributes: dict[str, Any]
    work: context.Context | None


class JsonFormatter(logging.Formatter):
    """Format a record as JSON: time, service, level, message, ids, attributes."""

    def __init__(self, service: str, instance: str) -> None:
        super().__init__()
        self.service = service
        self.instance = instance

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        message, attributes, work = read_entry(record)
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "service": self.service,
            "instance": self.instance,
            "level": record.levelname,
            "message": message,
            "logger": record.name,
            "trace_id": work.trace.trace_id if work else None,
            "span_id": work.trace.span_id if work else None,
            "request_id": work.request_id if work else None,
            "attributes": attributes,
        }
        return json.dumps(line, ensure_ascii=False)


def read_entry(record: logging.LogRecord) -> Entry:
    """Return the record's entry. It is made once, on the thread that logs, and stored in the record."""
    entry: Entry | None = vars(record).get(_ENTRY)
    if entry is None:
        work = context.current()
        entry = Entry(
            redact_text(record.getMessage()), redact_attributes(_read_attributes(record, work)), work
        )
        vars(record)[_ENTRY] = entry
    return entry


def _read_attributes(record: logging.LogRecord, work: context.Context | None) -> dict[str, Any]:
    """Return the attributes of the logging call, of the current context, and of an exception."""
    attributes = {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}
    if work:
        attributes.update(work.attributes)
    if record.exc_info and not record.exc_text:
        record.exc_text = _PLAIN.formatException(record.exc_info)
    if record.exc_text:
        attributes["exception"] = record.exc_text
    return attributes


def configure_logging(settings: ServiceSettings, *others: logging.Handler) -> None:
    """Send every record of the process to standard output as JSON, and to the other handlers."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(settings.service, settings.instance))
    logging.basicConfig(level=settings.log_level, handlers=[handler, *others], force=True)
    # The client logs a failed call itself; urllib3 would log each retry as well.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
