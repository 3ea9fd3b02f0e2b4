"""The indexes of the rows whose metadata is counted as facets."""

from shared.migrate import create_indexes

revision = "0015"
down_revision = "0014"

# The indexes of migration 0011 find a value; to find any metadata, PostgreSQL would read them as a whole.
INDEXES = {
    "products_with_product_metadata": "ON products (category, id)"
    " WHERE removed_at IS NULL AND product_metadata <> '{}'",
    "products_with_metadata": "ON products (category, id) WHERE withdrawn_at IS NULL AND metadata <> '{}'",
}


def upgrade() -> None:
    """Add the indexes."""
    create_indexes(INDEXES)
