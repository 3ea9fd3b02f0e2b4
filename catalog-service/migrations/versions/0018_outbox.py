"""Add the outbox, with an event when the stock of a variant falls to its threshold."""

from alembic import op

from shared.outbox_schema import OUTBOX_SCHEMA

revision = "0018"
down_revision = "0017"

# The content is what `GET /products/low-stock` lists. A higher threshold is no event: the admin who sets it
# knows of it.
TRIGGER = """
CREATE OR REPLACE FUNCTION tell_of_low_stock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (channel, endpoint, subject, kind, data)
    SELECT 'event', 'orders', 'variant ' || NEW.id, 'stock.low', jsonb_build_object(
        'product_id', product.id,
        'product_title', product.title,
        'variant_id', NEW.id,
        'title', NEW.variant_title,
        'sku', NEW.sku,
        'on_hand', NEW.on_hand,
        'reserved', NEW.reserved,
        'stock', NEW.on_hand - NEW.reserved,
        'low_stock_threshold', NEW.low_stock_threshold)
    FROM products AS product
    WHERE product.id = coalesce(NEW.parent_id, NEW.id) AND product.removed_at IS NULL;
    RETURN NULL;
END $$;
-- The trigger `variant_low` has set the mark before.
CREATE OR REPLACE TRIGGER variant_low_tell AFTER UPDATE OF on_hand, reserved ON products FOR EACH ROW
    WHEN (NEW.is_low AND NOT OLD.is_low AND NEW.on_hand - NEW.reserved < OLD.on_hand - OLD.reserved
        AND NEW.withdrawn_at IS NULL)
    EXECUTE FUNCTION tell_of_low_stock();
INSERT INTO outbox_endpoints (name, channel) VALUES ('orders', 'event') ON CONFLICT DO NOTHING;
"""


def upgrade() -> None:
    """Add the tables and the trigger."""
    for statements in (OUTBOX_SCHEMA, TRIGGER):
        op.execute(statements)
