"""Log records as JSON on standard output, one line each."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from shared import context
from shared.settings import ServiceSettings

# What a LogRecord has by itself; everything else was handed in with `extra` and becomes an attribute.
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_PLAIN = logging.Formatter()


class JsonFormatter(logging.Formatter):
    """Write a record as the design's log record: time, service, level, message, ids, attributes."""

    def __init__(self, service: str, instance: str) -> None:
        super().__init__()
        self.service = service
        self.instance = instance

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON, without a line break in it."""
        work = context.current()
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "service": self.service,
            "instance": self.instance,
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "trace_id": work.trace.trace_id if work else None,
            "span_id": work.trace.span_id if work else None,
            "request_id": work.request_id if work else None,
            "attributes": read_attributes(record, work),
        }
        return json.dumps(line, default=str, ensure_ascii=False)


def read_attributes(record: logging.LogRecord, work: context.Context | None) -> dict[str, Any]:
    """Return what was said beside the message: by the call, by the work at hand, by an exception."""
    attributes = {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}
    if work:
        attributes.update(work.attributes)
    exception = read_exception(record)
    if exception:
        attributes["exception"] = exception
    return attributes


def read_exception(record: logging.LogRecord) -> str | None:
    """Return the record's exception with its trace back, which is kept in the record from then on."""
    if record.exc_info and not record.exc_text:
        record.exc_text = _PLAIN.formatException(record.exc_info)
    return record.exc_text


def configure_logging(settings: ServiceSettings, *others: logging.Handler) -> None:
    """Send every record of the process to standard output as JSON, and to the other handlers."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(settings.service, settings.instance))
    logging.basicConfig(level=settings.log_level, handlers=[handler, *others], force=True)
    # A retried connection is our own record's business; urllib3 would tell it twice.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
