"""Records by day, their words, and how many there were in each minute."""

from alembic import op

revision = "0002"
down_revision = "0001"

WORDS = """
-- Letters and digits make words, and everything else parts them: a path and a sentence are found alike.
CREATE FUNCTION words_of(message text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('pg_catalog.simple', regexp_replace(message, '[^[:alnum:]]+', ' ', 'g'));

-- Each word that is asked for begins a word of the message. Null if nothing of it is a word.
CREATE FUNCTION words_asked(question text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT string_agg(quote_literal(lexeme) || ':*', ' & ')::tsquery FROM unnest(words_of(question)));
"""

RECORDS = """
CREATE TABLE records (
    time            timestamptz NOT NULL,
    id              uuid NOT NULL,
    -- The transaction that brought the record in: a reader who follows has seen all below the oldest one that
    -- is still open, whatever time the records bear.
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

-- Read backwards, for what is newest comes first.
CREATE INDEX records_time ON records (time, id);
CREATE INDEX records_service ON records (service, time, id);
-- What is worth a look is rare among the rest.
CREATE INDEX records_warnings ON records (time, id) WHERE severity_number >= 13;
-- One story has few records, and most records have none or one of these.
CREATE INDEX records_trace ON records (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX records_request ON records (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX records_order ON records (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX records_words ON records USING gin (words_of(message));
-- Who follows asks for the newest of these twice a second. It grows at its end only, and small.
CREATE INDEX records_received ON records (received);

-- Each insert adds what it brought; what belongs to one minute is put together later.
CREATE TABLE record_counts (
    minute          timestamptz NOT NULL,
    service         text NOT NULL,
    severity_number smallint NOT NULL,
    count           bigint NOT NULL
);
CREATE INDEX record_counts_minute ON record_counts (minute);
"""

GATEWAY = """
-- How much was read of each file that the gateway writes; a row goes with its file.
CREATE TABLE gateway_files (
    name            text PRIMARY KEY,
    bytes_read      bigint NOT NULL,
    read_at         timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    """Create the functions and tables; what stands in the old table is moved by the service itself."""
    op.execute(WORDS)
    op.execute(RECORDS)
    op.execute(GATEWAY)
