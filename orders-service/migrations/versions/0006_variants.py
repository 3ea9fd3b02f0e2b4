"""Add the product of each sold variant, and how a line was addressed."""

from alembic import op

revision = "0006"
down_revision = "0005"

# `product_id` remains the number of what is sold, which is a variant's. Replicas of the previous release
# write rows without these columns. Without a default they rewrite no table.
SCHEMA = """
ALTER TABLE order_lines
    -- The number of the variant's product. Null: the same as product_id, or unknown until the stock is held.
    ADD parent_id bigint,
    -- Whether the line was addressed by its product, which may then have no further variants.
    ADD only_variant boolean;

-- Null: the same as product_id.
ALTER TABLE cart_items ADD parent_id bigint;
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(SCHEMA)
