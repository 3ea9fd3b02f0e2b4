"""Add the tokens of mailed links to orders."""

from alembic import op

revision = "0011"
down_revision = "0010"

SCHEMA = """
CREATE TABLE IF NOT EXISTS order_links (
    -- SHA-256 of the token, which only the mail has.
    hash       bytea PRIMARY KEY,
    order_id   uuid NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS order_links_order ON order_links (order_id);
CREATE INDEX IF NOT EXISTS order_links_expires ON order_links (expires_at);
INSERT INTO outbox_endpoints (name, channel) VALUES ('task', 'task') ON CONFLICT DO NOTHING;
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(SCHEMA)
