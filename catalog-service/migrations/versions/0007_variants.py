"""Variants: further rows of a product, with the values of its options."""

from alembic import op

from shared.migrate import create_indexes

revision = "0007"
down_revision = "0006"

# No column rewrites the table. Replicas of the previous release pass over a further variant, because its
# `removed_at` is 'infinity', and they never write the new columns.
COLUMNS = """
ALTER TABLE products
    -- The product that this row is a further variant of; NULL for the product itself and its first variant.
    ADD COLUMN IF NOT EXISTS parent_id             bigint,
    -- Since when the shop no longer sells this variant; its row stays for existing orders.
    ADD COLUMN IF NOT EXISTS withdrawn_at          timestamptz,
    -- The option values of a variant: {"Size": "M"}.
    ADD COLUMN IF NOT EXISTS option_values         jsonb,
    -- The values as a customer reads them: 'M / Blue'.
    ADD COLUMN IF NOT EXISTS variant_title         text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS compare_at_amount     bigint,
    ADD COLUMN IF NOT EXISTS weight_grams          bigint,
    ADD COLUMN IF NOT EXISTS low_stock_threshold   bigint,
    ADD COLUMN IF NOT EXISTS metadata              jsonb NOT NULL DEFAULT '{}',
    -- Columns of products: the options as [{"name": "Size", "values": ["S", "M"]}], and others.
    ADD COLUMN IF NOT EXISTS options               jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS product_metadata      jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS tax_class             text,
    -- The further variants that the shop sells, which a trigger summarizes.
    ADD COLUMN IF NOT EXISTS further_variants      int NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS further_lowest        bigint,
    ADD COLUMN IF NOT EXISTS further_highest       bigint,
    ADD COLUMN IF NOT EXISTS further_in_stock      boolean NOT NULL DEFAULT false;

ALTER TABLE reservation_lines ADD COLUMN IF NOT EXISTS parent_id bigint;
"""

# A constraint that is not valid yet needs no scan under the lock, but it holds for every new row.
CONSTRAINTS = {
    "products_parent": "FOREIGN KEY (parent_id) REFERENCES products (id)",
    "products_variant": "CHECK (parent_id IS NULL OR removed_at = 'infinity')",
    "products_amounts": "CHECK (least(compare_at_amount, weight_grams, low_stock_threshold) >= 0)",
}

SUMMARY = """
-- The prices of a product that sells its first variant at `amount`, unless it is withdrawn, and others.
CREATE OR REPLACE FUNCTION lowest_amount(amount bigint, withdrawn_at timestamptz, further bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN least(CASE WHEN withdrawn_at IS NULL THEN amount END, further);
CREATE OR REPLACE FUNCTION highest_amount(amount bigint, withdrawn_at timestamptz, further bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN greatest(CASE WHEN withdrawn_at IS NULL THEN amount END, further);

CREATE OR REPLACE FUNCTION summarize_variants() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE products
    SET (further_variants, further_lowest, further_highest, further_in_stock) = (
        SELECT count(*), min(unit_amount), max(unit_amount), coalesce(bool_or(in_stock), false)
        FROM products AS variant
        WHERE variant.parent_id = NEW.parent_id AND withdrawn_at IS NULL
    )
    WHERE id = NEW.parent_id;
    RETURN NULL;
END $$;
-- As in migration 0003, and also when a variant is withdrawn.
CREATE OR REPLACE TRIGGER products_changed
    AFTER INSERT OR DELETE OR TRUNCATE
        OR UPDATE OF title, brand, category, unit_amount, removed_at, withdrawn_at
    ON products FOR EACH STATEMENT EXECUTE FUNCTION note_change();
CREATE OR REPLACE TRIGGER variant_added AFTER INSERT ON products FOR EACH ROW
    WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION summarize_variants();
-- Most sales change none of these, so they do not write the product.
CREATE OR REPLACE TRIGGER variant_changed
    AFTER UPDATE OF on_hand, reserved, unit_amount, withdrawn_at ON products FOR EACH ROW
    WHEN (NEW.parent_id IS NOT NULL
        AND (OLD.in_stock, OLD.unit_amount, OLD.withdrawn_at)
            IS DISTINCT FROM (NEW.in_stock, NEW.unit_amount, NEW.withdrawn_at))
    EXECUTE FUNCTION summarize_variants();
"""

LOWEST = "lowest_amount(unit_amount, withdrawn_at, further_lowest)"
HIGHEST = "highest_amount(unit_amount, withdrawn_at, further_highest)"
IN_STOCK = "(((in_stock AND withdrawn_at IS NULL) OR further_in_stock)::int)"
FOR_SALE = "WHERE removed_at IS NULL"
SOLD = "withdrawn_at IS NULL"
# The previous release uses products_price and products_in_stock; a later release drops them.
INDEXES = {
    "products_lowest": f"ON products ({LOWEST}, id) {FOR_SALE}",
    "products_category_lowest": f"ON products (category, {LOWEST}, id) {FOR_SALE}",
    "products_brand_lowest": f"ON products (brand, {LOWEST}, id) {FOR_SALE}",
    "products_available": f"ON products ({IN_STOCK}, id) {FOR_SALE}",
    # The products that may match a lowest price by their second-cheapest variant only.
    "products_ranges": f"ON products ({LOWEST}, id) {FOR_SALE} AND further_variants > 0",
    # The products whose options are counted as facets.
    "products_with_options": f"ON products (category, id) {FOR_SALE} AND options <> '[]'",
    "products_variants": "ON products (parent_id, unit_amount, id) WHERE parent_id IS NOT NULL",
    "products_variants_sku": f"ON products (sku) WHERE parent_id IS NOT NULL AND {SOLD}",
    "products_variants_search": f"ON products USING gin (search) WHERE parent_id IS NOT NULL AND {SOLD}",
    "products_options": f"ON products USING gin (option_values jsonb_path_ops)"
    f" WHERE option_values IS NOT NULL AND {SOLD}",
    "UNIQUE products_option_values": "ON products (coalesce(parent_id, id), option_values)"
    f" WHERE option_values IS NOT NULL AND {SOLD}",
}


# Partial indexes have no statistics of their expressions.
STATISTICS = f"""
CREATE STATISTICS IF NOT EXISTS products_choices (mcv, dependencies)
    ON category, brand, ({IN_STOCK}) FROM products;
CREATE STATISTICS IF NOT EXISTS products_lowest_amounts ON ({LOWEST}) FROM products;
CREATE STATISTICS IF NOT EXISTS products_highest_amounts ON ({HIGHEST}) FROM products;
"""


def upgrade() -> None:
    """Add the columns, the constraints, the triggers and the indexes, without a lock that callers feel."""
    op.execute(COLUMNS)
    for name, constraint in CONSTRAINTS.items():
        op.execute(f"ALTER TABLE products DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE products ADD CONSTRAINT {name} {constraint} NOT VALID")
    op.execute(SUMMARY)
    create_indexes(INDEXES)
    op.execute(STATISTICS)
    op.execute("ANALYZE products")
    for name in CONSTRAINTS:
        op.execute(f"ALTER TABLE products VALIDATE CONSTRAINT {name}")
