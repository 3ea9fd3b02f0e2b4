"""Keep the tax class, the weight and the category of what is reserved, which decide what an order costs."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the columns, which are NULL in the lines of a release before, without rewriting the table."""
    op.execute("""
        ALTER TABLE reservation_lines
            ADD COLUMN IF NOT EXISTS tax_class text,
            ADD COLUMN IF NOT EXISTS weight_grams bigint,
            ADD COLUMN IF NOT EXISTS category text
    """)
