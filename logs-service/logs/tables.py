"""The tables of logs-service, as its migrations create them."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()
MOMENT = DateTime(timezone=True)


def _make_records(name: str) -> Table:
    table = Table(
        name,
        metadata,
        Column("time", MOMENT, primary_key=True),
        Column("id", Uuid, primary_key=True),
        Column("received", BigInteger, nullable=False, server_default=func.pg_current_xact_id()),
        Column("observed_time", MOMENT, nullable=False),
        Column("service", Text, nullable=False),
        Column("instance", Text),
        Column("severity_number", SmallInteger, nullable=False),
        Column("message", Text, nullable=False),
        Column("trace_id", Uuid),
        Column("span_id", Text),
        Column("request_id", Text),
        Column("order_id", Uuid),
        Column("attributes", JSONB, nullable=False),
    )
    Index(f"{name}_time", table.c.time, table.c.id)
    Index(f"{name}_service", table.c.service, table.c.time, table.c.id)
    Index(f"{name}_warnings", table.c.time, table.c.id, postgresql_where=table.c.severity_number >= 13)
    Index(f"{name}_trace", table.c.trace_id, postgresql_where=table.c.trace_id.is_not(None))
    Index(f"{name}_request", table.c.request_id, postgresql_where=table.c.request_id.is_not(None))
    Index(f"{name}_order", table.c.order_id, postgresql_where=table.c.order_id.is_not(None))
    Index(f"{name}_words", func.words_of(table.c.message), postgresql_using="gin")
    Index(f"{name}_received", table.c.received)
    return table


# Partitioned by day; see `repository/partitions.py`.
records = _make_records("records")
# The audit trail of auth-service, which is limited by age alone.
audit_records = _make_records("audit_records")
record_counts = Table(
    "record_counts",
    metadata,
    Column("minute", MOMENT, nullable=False),
    Column("service", Text, nullable=False),
    Column("severity_number", SmallInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
)
Index("record_counts_minute", record_counts.c.minute)

# How many bytes of each log file of the gateway were read.
gateway_files = Table(
    "gateway_files",
    metadata,
    Column("name", Text, primary_key=True),
    Column("bytes_read", BigInteger, nullable=False),
    Column("read_at", MOMENT, nullable=False, server_default=func.now()),
)

# The table of releases before partitioning. Its rows are moved to `records`, so it stays empty.
unpartitioned_records = Table(
    "log_records",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("time", MOMENT, nullable=False),
    Column("observed_time", MOMENT, nullable=False),
    Column("service", Text, nullable=False),
    Column("instance", Text),
    Column("level", Text, nullable=False),
    Column("severity_number", SmallInteger, nullable=False),
    Column("message", Text, nullable=False),
    Column("trace_id", Text),
    Column("span_id", Text),
    Column("request_id", Text),
    Column("order_id", Uuid),
    Column("attributes", JSONB, nullable=False),
)
Index("log_records_time", unpartitioned_records.c.time, unpartitioned_records.c.id)
Index(
    "log_records_service",
    unpartitioned_records.c.service,
    unpartitioned_records.c.time,
    unpartitioned_records.c.id,
)
Index(
    "log_records_trace",
    unpartitioned_records.c.trace_id,
    postgresql_where=unpartitioned_records.c.trace_id.is_not(None),
)
Index(
    "log_records_request",
    unpartitioned_records.c.request_id,
    postgresql_where=unpartitioned_records.c.request_id.is_not(None),
)
Index(
    "log_records_order",
    unpartitioned_records.c.order_id,
    postgresql_where=unpartitioned_records.c.order_id.is_not(None),
)
