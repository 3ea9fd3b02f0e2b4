"""Partition records by day, index their words, and count them per minute."""

from alembic import op

revision = "0002"
down_revision = "0001"

WORDS = """
-- Words consist of letters and digits, and everything else separates them, in paths and sentences alike.
CREATE FUNCTION words_of(message text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('pg_catalog.simple', regexp_replace(message, '[^[:alnum:]]+', ' ', 'g'));

-- Each word of the query must be the prefix of a word in the message. Null if the query has no words.
CREATE FUNCTION words_asked(question text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT string_agg(quote_literal(lexeme) || ':*', ' & ')::tsquery FROM unnest(words_of(question)));
"""

RECORDS = """
CREATE TABLE records (
    time            timestamptz NOT NULL,
    id              uuid NOT NULL,
    -- The transaction of the INSERT. A stream has seen all records below the oldest open transaction,
    -- regardless of their time.
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
) PARTITION BY RANGE (time);

-- Scanned backwards, because searches return the newest records first.
CREATE INDEX records_time ON records (time, id);
CREATE INDEX records_service ON records (service, time, id);
-- Warnings and errors are rare.
CREATE INDEX records_warnings ON records (time, id) WHERE severity_number >= 13;
-- Each id has few records, and most records have at most one of these ids.
CREATE INDEX records_trace ON records (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX records_request ON records (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX records_order ON records (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX records_words ON records USING gin (words_of(message));
-- Each stream queries the newest entries twice a second. The index is small and grows only at its end.
CREATE INDEX records_received ON records (received);

-- Each INSERT adds its own counts; those of one minute are merged later.
CREATE TABLE record_counts (
    minute          timestamptz NOT NULL,
    service         text NOT NULL,
    severity_number smallint NOT NULL,
    count           bigint NOT NULL
);
CREATE INDEX record_counts_minute ON record_counts (minute);
"""

GATEWAY = """
-- How many bytes of each log file of the gateway were read; a row is deleted after its file.
CREATE TABLE gateway_files (
    name            text PRIMARY KEY,
    bytes_read      bigint NOT NULL,
    read_at         timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    """Create the functions and tables; the service itself moves the rows of the old table."""
    op.execute(WORDS)
    op.execute(RECORDS)
    op.execute(GATEWAY)
