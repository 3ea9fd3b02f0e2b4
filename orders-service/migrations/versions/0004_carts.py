"""Add versions of carts, and the order that was made from a version."""

from alembic import op

revision = "0004"
down_revision = "0003"

# Replicas of the previous release write only `cart_items`. The triggers maintain the versions for them, too.
SCHEMA = """
CREATE SEQUENCE cart_versions;

CREATE TABLE carts (
    owner           text PRIMARY KEY,
    -- From a sequence, so that a cart that is deleted and filled again never repeats a version.
    version         bigint NOT NULL,
    -- The last ordered version, and its order.
    ordered_version bigint,
    order_id        uuid,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CHECK ((ordered_version IS NULL) = (order_id IS NULL))
);
CREATE INDEX carts_by_age ON carts (updated_at);

CREATE FUNCTION raise_cart_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO carts (owner, version) VALUES (coalesce(NEW.owner, OLD.owner), nextval('cart_versions'))
    ON CONFLICT (owner) DO UPDATE SET version = excluded.version, updated_at = now();
    RETURN NULL;
END $$;
CREATE TRIGGER cart_items_come_and_go AFTER INSERT OR DELETE ON cart_items
    FOR EACH ROW EXECUTE FUNCTION raise_cart_version();
-- Setting the same quantity again does not change the version.
CREATE TRIGGER cart_items_change AFTER UPDATE ON cart_items
    FOR EACH ROW WHEN (OLD.quantity <> NEW.quantity) EXECUTE FUNCTION raise_cart_version();

INSERT INTO carts (owner, version)
SELECT owner, nextval('cart_versions') FROM (SELECT DISTINCT owner FROM cart_items) AS owners
ON CONFLICT DO NOTHING;

-- The version of the ordered cart; null for an order with explicit items.
ALTER TABLE orders ADD cart_version bigint;
"""


def upgrade() -> None:
    """Add the table, the triggers and the column."""
    op.execute(SCHEMA)
