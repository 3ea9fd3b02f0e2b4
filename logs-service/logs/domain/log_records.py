"""Log records, as sent and as stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from logs.domain.search import Position
from logs.domain.severity import name_level

# No other program may write under these names.
OWN_SERVICES = frozenset(
    {"auth-service", "catalog-service", "orders-service", "payments-service", "logs-service", "gateway"}
)
AUDITOR, AUDIT_SCOPE = "auth-service", "shopfleet.audit"  # Their records are the audit trail.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class SentRecord:
    """A record as sent, in either encoding. Times are nanoseconds since 1970; 0 means unknown."""

    time_ns: int
    observed_ns: int
    severity_number: int
    severity_text: str
    body: Any
    attributes: dict[str, Any]
    trace_id: str
    span_id: str
    event_name: str
    scope: str
    resource: Mapping[str, Any]


@dataclass(frozen=True)
class LogRecord:
    """A record as stored."""

    id: UUID
    time: datetime
    observed_time: datetime
    service: str
    instance: str | None
    severity_number: int
    message: str
    trace_id: str | None
    span_id: str | None
    request_id: str | None
    order_id: UUID | None
    attributes: dict[str, Any]

    @property
    def level(self) -> str:
        """Return the level of its severity."""
        return name_level(self.severity_number)

    @property
    def is_audit(self) -> bool:
        """Return whether the record belongs to the audit trail."""
        return self.service == AUDITOR and self.attributes.get("otel.scope.name") == AUDIT_SCOPE

    @property
    def position(self) -> Position:
        """Return its position in the order of time."""
        return Position(self.time, self.id)
