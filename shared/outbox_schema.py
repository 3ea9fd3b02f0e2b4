"""The tables of an outbox, for the migrations of the services that have one.

Migrations of released versions execute this text, so it does not change; a later change is a migration.
"""

OUTBOX_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    id              uuid PRIMARY KEY DEFAULT uuidv7(),
    channel         text NOT NULL,
    endpoint        text NOT NULL,
    -- Messages about one subject reach an endpoint in the order of their ids.
    subject         text NOT NULL,
    kind            text NOT NULL,
    -- The address of a mail.
    recipient       text,
    -- The content as of the event.
    data            jsonb NOT NULL,
    -- The token of a mail's link, until it is sent.
    secret          text,
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'kept', 'dead')),
    attempts        int NOT NULL DEFAULT 0,
    -- Attempts that failed because of the message; an endpoint that does not respond counts for none.
    failures        int NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    -- The message that this one repeats.
    resend_of       uuid,
    -- The last attempts.
    log             jsonb NOT NULL DEFAULT '[]'
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (endpoint, subject, id) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (endpoint, next_attempt_at, id) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS outbox_dead ON outbox (channel, id) WHERE state = 'dead';
CREATE INDEX IF NOT EXISTS outbox_of_subject ON outbox (subject, id);

-- Where messages go. One replica at a time sends to an endpoint, under a lease.
CREATE TABLE IF NOT EXISTS outbox_endpoints (
    name          text PRIMARY KEY,
    channel       text NOT NULL,
    is_active     boolean NOT NULL DEFAULT true,
    lease_token   uuid,
    lease_until   timestamptz,
    paused_until  timestamptz NOT NULL DEFAULT now(),
    -- Each message of a limited endpoint moves this forward; the time from it to now is what it saved up.
    paced_from    timestamptz NOT NULL DEFAULT '-infinity',
    -- Attempts in a row without a response.
    failures      int NOT NULL DEFAULT 0,
    failing_since timestamptz,
    failed_at     timestamptz,
    error         text,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""
