"""The metadata keys by which a list of products can be filtered, and the indexes for them."""

from alembic import op

from shared.migrate import create_indexes

revision = "0011"
down_revision = "0010"

SCHEMA = """
CREATE TABLE IF NOT EXISTS metadata_keys (
    key       text PRIMARY KEY,
    marked_at timestamptz NOT NULL DEFAULT now()
);
"""

# Most rows have no metadata.
INDEXES = {
    "products_product_metadata": "ON products USING gin (product_metadata jsonb_path_ops)"
    " WHERE removed_at IS NULL AND product_metadata <> '{}'",
    "products_metadata": "ON products USING gin (metadata jsonb_path_ops)"
    " WHERE withdrawn_at IS NULL AND metadata <> '{}'",
}


def upgrade() -> None:
    """Add the table and the indexes."""
    op.execute(SCHEMA)
    create_indexes(INDEXES)
