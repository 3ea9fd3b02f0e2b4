"""Low stock: a mark on the variants with as few units as their threshold, or fewer."""

from alembic import op

from shared.migrate import create_indexes

revision = "0012"
down_revision = "0011"

# An index on `on_hand` and `reserved` would make every reservation write all indexes of its row. The mark
# changes only when a variant crosses its threshold. A generated column would rewrite the table.
MARK = """
ALTER TABLE products ADD COLUMN IF NOT EXISTS is_low boolean NOT NULL DEFAULT false;

CREATE OR REPLACE FUNCTION mark_low_stock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.is_low := coalesce(NEW.on_hand - NEW.reserved <= NEW.low_stock_threshold, false);
    RETURN NEW;
END $$;
-- Most variants have no threshold, and their updates do not call the function.
CREATE OR REPLACE TRIGGER variant_low_at_first BEFORE INSERT ON products FOR EACH ROW
    WHEN (NEW.low_stock_threshold IS NOT NULL) EXECUTE FUNCTION mark_low_stock();
CREATE OR REPLACE TRIGGER variant_low
    BEFORE UPDATE OF on_hand, reserved, low_stock_threshold ON products FOR EACH ROW
    WHEN (OLD.low_stock_threshold IS NOT NULL OR NEW.low_stock_threshold IS NOT NULL)
    EXECUTE FUNCTION mark_low_stock();
"""

# The trigger marks the variants that had a threshold before.
MARK_EXISTING = """
UPDATE products SET low_stock_threshold = low_stock_threshold
WHERE NOT is_low AND on_hand - reserved <= low_stock_threshold
"""

INDEXES = {
    "products_low_stock": "ON products (coalesce(parent_id, id), id) WHERE is_low AND withdrawn_at IS NULL"
}


def upgrade() -> None:
    """Add the mark, its triggers and its index, without a lock that callers feel."""
    op.execute(MARK)
    create_indexes(INDEXES)
    # Building an index has ended the transaction that locked the table.
    op.execute(MARK_EXISTING)
