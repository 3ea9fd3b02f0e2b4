"""Where the customers come from whose orders wait for a payment."""

from alembic import op

revision = "0005"
down_revision = "0004"

SCHEMA = """
-- Kept for as long as there is work to do for the order. Null for an order of a release without this column.
ALTER TABLE order_work ADD network text;
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(SCHEMA)
