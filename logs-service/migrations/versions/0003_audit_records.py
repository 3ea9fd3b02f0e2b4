"""The audit trail in a table of its own, and a bounded number of words of each record."""

from alembic import op

revision = "0003"
down_revision = "0002"

AUDIT = """
-- The columns and indexes of `records`, so that a reader finds both in the same way. The trail is kept by its
-- age alone, and no number of other records shortens it.
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

# A replica of the release before writes the trail to `records` until it is replaced. Those few records stay
# there, are found, and go with their day.
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
-- The trail is counted by itself. Counts of one minute are added up, so that a negative one takes these away.
INSERT INTO record_counts
SELECT date_trunc('minute', time, 'UTC'), service, severity_number, -count(*) FROM moved GROUP BY 1, 2, 3;
"""

WORDS = """
-- The words of the first 1000 characters, which are 500 at most: an index entry for each word of a message of
-- 128 KiB takes more room than the message. What the index has of longer messages stays found through it.
CREATE OR REPLACE FUNCTION words_of(message text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('pg_catalog.simple', regexp_replace(left(message, 1000), '[^[:alnum:]]+', ' ', 'g'));
"""


def upgrade() -> None:
    """Create the table, move the trail there, and bound the words of what is indexed from now on."""
    op.execute(WORDS)
    op.execute(AUDIT)
    op.execute(MOVE)
