"""Add verified email addresses, the tokens of mailed links, and the outbox."""

from alembic import op

from shared.migrate import create_indexes
from shared.outbox_schema import OUTBOX_SCHEMA

revision = "0010"
down_revision = "0009"

SCHEMA = """
-- Null: the address was never verified. A verified address belongs to one account.
ALTER TABLE users ADD COLUMN IF NOT EXISTS email_verified_at timestamptz;

CREATE TABLE IF NOT EXISTS link_tokens (
    -- SHA-256 of the token, which only the mail has.
    hash                bytea PRIMARY KEY,
    user_id             uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose             text NOT NULL CHECK (purpose IN ('verify', 'reset')),
    -- The address that the link was mailed to.
    email               text NOT NULL,
    -- When the password was changed last; after a later change the token is void.
    password_changed_at timestamptz,
    created_at          timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz NOT NULL,
    used_at             timestamptz
);
CREATE INDEX IF NOT EXISTS link_tokens_user ON link_tokens (user_id);
CREATE INDEX IF NOT EXISTS link_tokens_expires ON link_tokens (expires_at);
INSERT INTO outbox_endpoints (name, channel) VALUES ('mail', 'mail'), ('task', 'task') ON CONFLICT DO NOTHING;
"""
INDEXES = {
    "UNIQUE users_verified_email": "ON users (lower(email)) WHERE email_verified_at IS NOT NULL",
    "users_email": "ON users (lower(email)) WHERE email IS NOT NULL",
}


def upgrade() -> None:
    """Add the column, the tables and the indexes."""
    op.execute(OUTBOX_SCHEMA)
    op.execute(SCHEMA)
    create_indexes(INDEXES)
