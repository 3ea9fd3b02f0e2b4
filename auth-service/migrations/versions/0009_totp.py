"""Two-factor authentication: secrets of authenticator apps, and recovery codes."""

from alembic import op

revision = "0009"
down_revision = "0008"

SCHEMA = """
-- Since when log-ins need a code; NULL: two-factor authentication is off.
ALTER TABLE users ADD COLUMN totp_confirmed_at timestamptz;

-- A secret is valid for log-ins once the user's totp_confirmed_at is set.
CREATE TABLE totp_secrets (
    user_id    uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    secret     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- The time step (RFC 6238) of the newest code that was used: no code is good for two log-ins.
    last_step  bigint NOT NULL DEFAULT 0
);

-- The unused recovery codes.
CREATE TABLE recovery_codes (
    user_id   uuid NOT NULL REFERENCES totp_secrets ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);

-- When all tries are forgiven, because a try of a code counts for longer than one of a password. Code without
-- this column leaves it NULL.
ALTER TABLE login_attempts ADD COLUMN forgiven_at timestamptz;
"""


def upgrade() -> None:
    """Create the tables and columns; no user has two-factor authentication yet."""
    op.execute(SCHEMA)
