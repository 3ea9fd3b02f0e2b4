"""Request and response bodies of logs-service."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, cast
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from logs.domain.histogram import Chart
from logs.domain.log_records import INT64, LogRecord
from logs.domain.search import Search
from logs.domain.severity import LEVELS, name_level
from shared.pages import PageQuery
from shared.schemas import Text, Time, example, example_of

Level = Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

LARGEST_EXACT = 2**53 - 1  # JavaScript, where every number is a double, rounds larger integers.


def _require_word(question: str) -> str:
    if not any(character.isalnum() for character in question):
        raise ValueError("must contain a letter or a digit")
    return question


class Filters(BaseModel):
    """Filters of a search; a record must match all of them."""

    model_config = ConfigDict(extra="forbid")

    service: Text | None = Field(default=None, max_length=255)
    instance: Text | None = Field(default=None, max_length=255)
    level: Level | None = Field(default=None, description="The minimum level.")
    q: Annotated[Text, AfterValidator(_require_word)] | None = Field(
        default=None,
        max_length=200,
        description=(
            "Words, in any case. Each must be the prefix of a word in the message's first 1000 characters."
        ),
    )
    trace_id: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    request_id: Text | None = Field(default=None, max_length=128)
    order_id: UUID | None = None

    def to_search(self) -> Search:
        """Return the filters as a search."""
        return Search(
            service=self.service,
            instance=self.instance,
            severity_number=LEVELS[self.level] if self.level else None,
            text=self.q,
            trace_id=self.trace_id,
            request_id=self.request_id,
            order_id=self.order_id,
        )


class TimedFilters(Filters):
    """Filters of a search, with a period."""

    since: Time | None = Field(default=None, description="Start of the period, inclusive.")
    until: Time | None = Field(default=None, description="End of the period, exclusive.")

    def to_search(self) -> Search:
        """Return the filters as a search."""
        return replace(super().to_search(), since=self.since, until=self.until)


class LogQuery(TimedFilters, PageQuery):
    """Filters of a search, with a period and a page."""


class HistogramQuery(TimedFilters):
    """Filters of a histogram, with a period and the number of bars."""

    bars: int = Field(default=60, ge=1, le=500, description="The maximum number of bars.")


class ContextQuery(BaseModel):
    """How many records to show around a record, and from which source."""

    model_config = ConfigDict(extra="forbid")

    before: int = Field(default=20, ge=0, le=100)
    after: int = Field(default=20, ge=0, le=100)
    of: Literal["instance", "shop"] = Field(
        default="instance", description="Records of the replica that wrote this one, or of the whole shop."
    )


class LogRecordOut(BaseModel):
    """A record; ids are null where the logged work had none."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": "018f5c41-62d0-7b70-9d69-c4012ca67e09",
                "time": "2026-03-01T10:00:01.084Z",
                "service": "orders-service",
                "instance": "orders-service-1",
                "level": "INFO",
                "message": "Order payment_captured: paid",
                "trace_id": "0262de2a01a7f7f77d098d34b3647443",
                "span_id": "f98d8030e9f6c6fc",
                "request_id": "0262de2a01a7f7f77d098d34b3647443",
                "order_id": "018f5c41-5d80-7a2b-8e14-7fbc9d512f04",
                "attributes": {"order.status": "paid", "otel.scope.name": "orders.checkout"},
            }
        )
    )

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
    attributes: dict[str, Any] = Field(
        description="Values of any type, as sent. An integer beyond ±(2^53-1) is a string."
    )

    @classmethod
    def of(cls, record: LogRecord) -> "LogRecordOut":
        """Return a stored record as a response body."""
        values = {**vars(record), "attributes": _spell_integers(record.attributes)}
        return cls(**values, level=cast(Level, record.level))


def _spell_integers(value: Any) -> Any:
    match value:
        case dict():
            return {name: _spell_integers(item) for name, item in value.items()}
        case list():
            return [_spell_integers(item) for item in value]
        case int() if value not in INT64:
            # It was sent as a double, and jsonb returns all its digits.
            return float(value)
        case int() if abs(value) > LARGEST_EXACT:
            return str(value)
    return value


class LogPage(BaseModel):
    """Records, newest first, and the cursor of the next page."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(LogRecordOut)], "next": None}))

    data: list[LogRecordOut]
    next: str | None


class LogContext(BaseModel):
    """A record with those before and after it, oldest first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(LogRecordOut)], "next": None}))

    data: list[LogRecordOut]
    next: None = None


class BarOut(BaseModel):
    """The number of records in one bar, which starts at `time`, in total and by level."""

    time: datetime
    total: int
    levels: dict[Level, int]


class Histogram(BaseModel):
    """Bars of equal length, oldest first. Empty bars are omitted."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "data": [{"time": "2026-03-01T10:00:00Z", "total": 42, "levels": {"INFO": 41, "ERROR": 1}}],
                "next": None,
                "since": "2026-03-01T09:30:00Z",
                "until": "2026-03-01T10:30:00Z",
                "seconds": 60,
                "complete": True,
            }
        )
    )

    data: list[BarOut]
    next: None = None
    since: datetime
    until: datetime
    seconds: int = Field(description="The length of a bar in seconds.")
    complete: bool = Field(description="True if all records were counted, false if only the newest.")

    @classmethod
    def of(cls, chart: Chart) -> "Histogram":
        """Return a chart as a response body."""
        bars: dict[datetime, Counter[str]] = {}
        for bar in sorted(chart.bars, key=lambda bar: (bar.time, bar.severity_number)):
            bars.setdefault(bar.time, Counter())[name_level(bar.severity_number)] += bar.count
        return cls(
            data=[
                BarOut(time=time, total=levels.total(), levels=cast(dict[Level, int], levels))
                for time, levels in bars.items()
            ],
            since=chart.span.since,
            until=chart.span.until,
            seconds=int(chart.span.step.total_seconds()),
            complete=chart.is_complete,
        )
