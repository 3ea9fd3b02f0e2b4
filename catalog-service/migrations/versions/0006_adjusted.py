"""Source products that are for sale with adjusted fields."""

from alembic import op

revision = "0006"
down_revision = "0005"

SCHEMA = """
-- NULL means that the previous release, which rejected such products, read the page; the next copy reads it
-- again.
ALTER TABLE source_pages ADD COLUMN adjusted jsonb;

ALTER TABLE source_syncs
    ADD COLUMN adjusted_count int NOT NULL DEFAULT 0,
    ADD COLUMN adjusted       jsonb NOT NULL DEFAULT '[]';
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(SCHEMA)
