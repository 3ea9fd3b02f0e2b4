"""Products of the source that are for sale without what was wrong with them."""

from alembic import op

revision = "0006"
down_revision = "0005"

SCHEMA = """
-- Null is a page that the release before read, which refused such products: it is asked for again.
ALTER TABLE source_pages ADD COLUMN adjusted jsonb;

ALTER TABLE source_syncs
    ADD COLUMN adjusted_count int NOT NULL DEFAULT 0,
    ADD COLUMN adjusted       jsonb NOT NULL DEFAULT '[]';
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(SCHEMA)
