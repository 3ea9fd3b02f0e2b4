"""What logs-service takes and gives: OTLP's messages in JSON, searches, records."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from logs.domain import LEVELS, LogRecord, Search
from shared.pages import PageQuery
from shared.schemas import Text

Level = Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _require_rfc_3339(value: Any) -> Any:
    # Pydantic would take a bare number for seconds, and a date for its midnight.
    if isinstance(value, str) and not RFC_3339.fullmatch(value):
        raise ValueError("must be a time as in RFC 3339, such as 2026-01-31T12:00:00Z")
    return value


Time = Annotated[AwareDatetime, BeforeValidator(_require_rfc_3339)]


class LogQuery(PageQuery):
    """What is looked for; all that is given must fit."""

    service: Text | None = Field(default=None, max_length=255)
    level: Level | None = Field(default=None, description="The least that fits.")
    q: Text | None = Field(default=None, max_length=200, description="A part of the message, in any case.")
    trace_id: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    request_id: Text | None = Field(default=None, max_length=128)
    order_id: UUID | None = None
    since: Time | None = Field(default=None, description="The first moment that fits.")
    until: Time | None = Field(default=None, description="The first moment that does not fit any more.")

    def to_search(self) -> Search:
        """Return the search in the domain's words."""
        return Search(
            service=self.service,
            severity_number=LEVELS[self.level] if self.level else None,
            text=self.q,
            trace_id=self.trace_id,
            request_id=self.request_id,
            order_id=self.order_id,
            since=self.since,
            until=self.until,
        )


class LogRecordOut(BaseModel):
    """A record; ids are null where the work at hand had none."""

    id: UUID
    time: datetime
    service: str
    instance: str | None
    level: Level
    message: str
    trace_id: str | None
    span_id: str | None
    request_id: str | None
    order_id: UUID | None
    attributes: dict[str, Any]

    @classmethod
    def of(cls, record: LogRecord) -> "LogRecordOut":
        """Return the record as callers see it."""
        return cls.model_validate(vars(record))


class LogPage(BaseModel):
    """Records, newest first, and the cursor of the page after."""

    data: list[LogRecordOut]
    next: str | None


class _Otlp(BaseModel):
    """OTLP in JSON: names in lower camel case, unknown ones passed over, null for what is not there."""

    model_config = ConfigDict(alias_generator=to_camel)


Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Uint64 = Annotated[int, Field(ge=0, lt=2**64)]
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class AnyValue(_Otlp):
    """A value of one of OTLP's kinds; 64-bit integers are numbers or strings, bytes are base64."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Int64 | None = None
    double_value: float | None = None
    array_value: "ArrayValue | None" = None
    kvlist_value: "KeyValueList | None" = None
    bytes_value: str | None = None


class KeyValue(_Otlp):
    """An attribute."""

    key: str = ""
    value: AnyValue | None = None


class ArrayValue(_Otlp):
    """A list of values."""

    values: list[AnyValue] | None = None


class KeyValueList(_Otlp):
    """An object."""

    values: list[KeyValue] | None = None


class OtlpRecord(_Otlp):
    """`opentelemetry.proto.logs.v1.LogRecord`; an enum is its number, and an id is hexadecimal."""

    time_unix_nano: Uint64 | None = None
    observed_time_unix_nano: Uint64 | None = None
    severity_number: Int32 | None = None
    severity_text: str | None = None
    body: AnyValue | None = None
    attributes: list[KeyValue] | None = None
    trace_id: str | None = None
    span_id: str | None = None
    event_name: str | None = None


class Scope(_Otlp):
    """What wrote the records: a library, a logger."""

    name: str | None = None


class ScopeLogs(_Otlp):
    """Records of one scope."""

    scope: Scope | None = None
    log_records: list[OtlpRecord] | None = None


class Resource(_Otlp):
    """The sender: a service, its instance."""

    attributes: list[KeyValue] | None = None


class ResourceLogs(_Otlp):
    """Records of one sender."""

    resource: Resource | None = None
    scope_logs: list[ScopeLogs] | None = None


class ExportRequest(_Otlp):
    """`ExportLogsServiceRequest`."""

    resource_logs: list[ResourceLogs] | None = None
