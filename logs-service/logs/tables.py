"""logs-service's tables, as its migrations make them."""

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

# Partitioned by day; see `repository.partitions`.
records = Table(
    "records",
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
Index("records_time", records.c.time, records.c.id)
Index("records_service", records.c.service, records.c.time, records.c.id)
Index("records_warnings", records.c.time, records.c.id, postgresql_where=records.c.severity_number >= 13)
Index("records_trace", records.c.trace_id, postgresql_where=records.c.trace_id.is_not(None))
Index("records_request", records.c.request_id, postgresql_where=records.c.request_id.is_not(None))
Index("records_order", records.c.order_id, postgresql_where=records.c.order_id.is_not(None))
Index("records_words", func.words_of(records.c.message), postgresql_using="gin")
Index("records_received", records.c.received)

record_counts = Table(
    "record_counts",
    metadata,
    Column("minute", MOMENT, nullable=False),
    Column("service", Text, nullable=False),
    Column("severity_number", SmallInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
)
Index("record_counts_minute", record_counts.c.minute)

# Of the files that the gateway writes, how much was read.
gateway_files = Table(
    "gateway_files",
    metadata,
    Column("name", Text, primary_key=True),
    Column("bytes_read", BigInteger, nullable=False),
    Column("read_at", MOMENT, nullable=False, server_default=func.now()),
)

# Where records were kept before they were parted by day; its rows are moved, and it stays empty.
log_records = Table(
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
Index("log_records_time", log_records.c.time, log_records.c.id)
Index("log_records_service", log_records.c.service, log_records.c.time, log_records.c.id)
Index("log_records_trace", log_records.c.trace_id, postgresql_where=log_records.c.trace_id.is_not(None))
Index("log_records_request", log_records.c.request_id, postgresql_where=log_records.c.request_id.is_not(None))
Index("log_records_order", log_records.c.order_id, postgresql_where=log_records.c.order_id.is_not(None))
