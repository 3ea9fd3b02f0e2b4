"""The SKU and the image with which the product source delivers a variant."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the columns; replicas of the previous release neither read nor write them."""
    # NULL for a variant that an admin added, and for the only variant of a product.
    op.execute("ALTER TABLE products ADD COLUMN IF NOT EXISTS source_sku text")
    op.execute("ALTER TABLE products ADD COLUMN IF NOT EXISTS source_image text")
