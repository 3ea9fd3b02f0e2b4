"""Create the table of log records."""

from alembic import op

revision = "0001"
down_revision = None

SCHEMA = """
CREATE TABLE log_records (
    id              uuid PRIMARY KEY,
    time            timestamptz NOT NULL,
    observed_time   timestamptz NOT NULL,
    service         text NOT NULL,
    instance        text,
    level           text NOT NULL,
    severity_number smallint NOT NULL,
    message         text NOT NULL,
    trace_id        text,
    span_id         text,
    request_id      text,
    order_id        uuid,
    attributes      jsonb NOT NULL
);

-- Scanned backwards, because searches return the newest records first.
CREATE INDEX log_records_time ON log_records (time, id);
CREATE INDEX log_records_service ON log_records (service, time, id);

-- Each id has few records, and most records have at most one of these ids.
CREATE INDEX log_records_trace ON log_records (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX log_records_request ON log_records (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX log_records_order ON log_records (order_id) WHERE order_id IS NOT NULL;
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(SCHEMA)
