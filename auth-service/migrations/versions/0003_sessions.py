"""Sessions with refresh tokens and sign-offs, and counted log-in tries."""

from alembic import op

revision = "0003"
down_revision = "0002"

SCHEMA = """
ALTER TABLE users ADD COLUMN password_changed_at timestamptz;

-- For the sweep, which deletes guests whose sessions have expired.
CREATE INDEX users_guests ON users (created_at) WHERE role = 'guest';

CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    guest_sub    text,
    -- The key of the HMAC that derives a refresh token from the one before.
    secret       bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    -- When the last access token of this session expires.
    tokens_until timestamptz NOT NULL,
    ended_at     timestamptz,
    address      text,
    user_agent   text
);

CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    hash       bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);

CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires_at);

-- Ids of sessions and single tokens that are refused although their signature is valid.
CREATE TABLE sign_offs (
    id    text PRIMARY KEY,
    until timestamptz NOT NULL
);

CREATE INDEX sign_offs_until ON sign_offs (until);

-- Counted tries of an account name, an address, or both together; the key is a hash.
CREATE TABLE login_attempts (
    key     bytea PRIMARY KEY,
    level   double precision NOT NULL,
    last_at timestamptz NOT NULL,
    free_at timestamptz NOT NULL
);

-- Places from which a user has logged in.
CREATE TABLE known_places (
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    place_hash bytea NOT NULL,
    last_seen  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, place_hash)
);

CREATE INDEX known_places_seen ON known_places (last_seen);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(SCHEMA)
