"""Move the audit trail into its own table, and bound the indexed words of each record."""

from alembic import op

revision = "0003"
down_revision = "0002"

AUDIT = """
-- The same columns and indexes as `records`, so that searches treat both alike. The audit trail is limited by
-- age alone, so other records cannot displace it.
CREATE TABLE audit_records (
    time            timestamptz NOT NULL,
    id              uuid NOT NULL,
    received        bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    observed_time   timestamptz NOT NULL,
    service         text NOT NULL,
    instance        text,
    severity_number smallint NOT NULL,
    message         text NOT NULL,
    trace_id        uuid,
    span_id         text,
    request_id      text,
    order_id        uuid,
    attributes      jsonb NOT NULL,
    PRIMARY KEY (id, time)
);

CREATE INDEX audit_records_time ON audit_records (time, id);
CREATE INDEX audit_records_service ON audit_records (service, time, id);
CREATE INDEX audit_records_warnings ON audit_records (time, id) WHERE severity_number >= 13;
CREATE INDEX audit_records_trace ON audit_records (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX audit_records_request ON audit_records (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX audit_records_order ON audit_records (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX audit_records_words ON audit_records USING gin (words_of(message));
CREATE INDEX audit_records_received ON audit_records (received);
"""

# Replicas of the previous release write the audit trail to `records` until they are replaced. Those few
# records stay there, remain searchable, and are dropped with their day.
MOVE = """
WITH moved AS (
    DELETE FROM records
    WHERE service = 'auth-service' AND attributes ->> 'otel.scope.name' = 'shopfleet.audit'
    RETURNING *
), added AS (
    INSERT INTO audit_records (time, id, received, observed_time, service, instance, severity_number, message,
                               trace_id, span_id, request_id, order_id, attributes)
    SELECT time, id, received, observed_time, service, instance, severity_number, message,
           trace_id, span_id, request_id, order_id, attributes FROM moved
)
-- The audit trail is counted separately. Counts of one minute are summed, so a negative one subtracts these.
INSERT INTO record_counts
SELECT date_trunc('minute', time, 'UTC'), service, severity_number, -count(*) FROM moved GROUP BY 1, 2, 3;
"""

WORDS = """
-- Index only the first 1000 characters, at most 500 words: the index entries of a 128 KiB message would be
-- larger than the message. Existing entries of longer messages remain searchable.
CREATE OR REPLACE FUNCTION words_of(message text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('pg_catalog.simple', regexp_replace(left(message, 1000), '[^[:alnum:]]+', ' ', 'g'));
"""


def upgrade() -> None:
    """Create the table, move the audit trail there, and bound the words indexed from now on."""
    op.execute(WORDS)
    op.execute(AUDIT)
    op.execute(MOVE)
