"""Add the network from which an order was placed."""

from alembic import op

revision = "0005"
down_revision = "0004"

SCHEMA = """
-- Kept while the order has work. Null for an order that a release without this column placed.
ALTER TABLE order_work ADD network text;
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(SCHEMA)
