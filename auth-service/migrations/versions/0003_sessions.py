"""Sessions that can be refreshed and ended, and log-in attempts that are counted."""

from alembic import op

revision = "0003"
down_revision = "0002"

SCHEMA = """
ALTER TABLE users ADD COLUMN password_changed_at timestamptz;

-- For the sweep, which removes guests who can never come back.
CREATE INDEX users_guests ON users (created_at) WHERE role = 'guest';

CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    guest_sub    text,
    -- The key of the HMAC by which one refresh token follows from another.
    secret       bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    -- When the last access token of this session dies.
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

-- Ids of sessions and of single tokens that are refused although their signature is good.
CREATE TABLE sign_offs (
    id    text PRIMARY KEY,
    until timestamptz NOT NULL
);

CREATE INDEX sign_offs_until ON sign_offs (until);

-- How many tries weigh on an account name, an address, or both together; the key is a hash.
CREATE TABLE login_attempts (
    key     bytea PRIMARY KEY,
    level   double precision NOT NULL,
    last_at timestamptz NOT NULL,
    free_at timestamptz NOT NULL
);

-- Where an account was logged in to before.
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
