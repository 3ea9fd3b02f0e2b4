"""The time of each sign-off, so that services fetch only the new ones."""

from alembic import op

revision = "0007"
down_revision = "0006"

SCHEMA = """
ALTER TABLE sign_offs ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now();

CREATE INDEX sign_offs_changed ON sign_offs (changed_at);
"""


def upgrade() -> None:
    """Add the column; code without it uses the default, which is right for a new row."""
    op.execute(SCHEMA)
