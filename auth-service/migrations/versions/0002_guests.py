"""Guests: users without a password."""

from alembic import op

revision = "0002"
down_revision = "0001"

SCHEMA = """
ALTER TABLE users
    ALTER COLUMN password_hash DROP NOT NULL,
    ADD CONSTRAINT users_password CHECK (password_hash IS NOT NULL OR role = 'guest');
"""


def upgrade() -> None:
    """Allow only guests to have no password."""
    op.execute(SCHEMA)
