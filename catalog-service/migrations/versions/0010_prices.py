"""Sales, which write prices at their times, and the history of every price."""

from alembic import op

revision = "0010"
down_revision = "0009"

# No column rewrites the table, and the locks last for moments.
SCHEMA = """
ALTER TABLE products
    -- The price of the running sale; NULL while none runs.
    ADD COLUMN sale_amount               bigint,
    -- The price and the crossed-out price without the running sale; NULL while none runs.
    ADD COLUMN regular_amount            bigint,
    ADD COLUMN regular_compare_at_amount bigint,
    -- The lowest price of the 30 days before the current reduction; NULL without a reduction.
    ADD COLUMN lowest_amount_30d         bigint;

-- The sale of a row of products, planned or running.
CREATE TABLE sales (
    product_id  bigint PRIMARY KEY REFERENCES products,
    unit_amount bigint NOT NULL CHECK (unit_amount >= 0),
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz CHECK (ends_at > starts_at),
    has_started boolean NOT NULL DEFAULT false,
    -- The next time at which the price changes.
    due_at      timestamptz GENERATED ALWAYS AS (CASE WHEN has_started THEN ends_at ELSE starts_at END) STORED
);
CREATE INDEX sales_due ON sales (due_at);

-- Every price of a row of products, with the time from which it was valid. Rows of products are never
-- deleted, so a foreign key would only make bulk imports slower.
CREATE TABLE prices (
    product_id  bigint,
    valid_from  timestamptz,
    unit_amount bigint NOT NULL,
    PRIMARY KEY (product_id, valid_from)
);
CREATE INDEX prices_valid_from ON prices (valid_from);
"""

# The database applies the rules, so that every writer obeys them: admins, imports, copies of the source, and
# replicas of the previous release, which know `unit_amount` only.
RULES = """
CREATE FUNCTION settle_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.sale_amount IS NOT NULL AND OLD.sale_amount IS NULL THEN
        NEW.regular_amount := NEW.unit_amount;
        NEW.regular_compare_at_amount := NEW.compare_at_amount;
    ELSIF NEW.sale_amount IS NOT NULL THEN
        -- The sale goes on. A writer of another price changes the price to return to.
        IF NEW.unit_amount <> OLD.unit_amount AND NEW.regular_amount = OLD.regular_amount THEN
            NEW.regular_amount := NEW.unit_amount;
        END IF;
        IF NEW.compare_at_amount IS DISTINCT FROM OLD.compare_at_amount
            AND NEW.regular_compare_at_amount IS NOT DISTINCT FROM OLD.regular_compare_at_amount
        THEN
            NEW.regular_compare_at_amount := NEW.compare_at_amount;
        END IF;
    ELSIF OLD.sale_amount IS NOT NULL THEN
        NEW.unit_amount := NEW.regular_amount;
        NEW.compare_at_amount := NEW.regular_compare_at_amount;
    END IF;
    IF NEW.sale_amount IS NULL THEN
        NEW.regular_amount := NULL;
        NEW.regular_compare_at_amount := NULL;
    ELSIF NEW.sale_amount < NEW.regular_amount THEN
        NEW.unit_amount := NEW.sale_amount;
        NEW.compare_at_amount := NEW.regular_amount;
    ELSE
        -- A sale never raises a price.
        NEW.unit_amount := NEW.regular_amount;
        NEW.compare_at_amount := NEW.regular_compare_at_amount;
    END IF;

    IF NEW.compare_at_amount > NEW.unit_amount THEN
        -- Further reductions count from the first one (Directive 98/6/EC, article 6a(5)), a rise ends them.
        IF (OLD.compare_at_amount > OLD.unit_amount) IS NOT TRUE OR NEW.unit_amount > OLD.unit_amount THEN
            NEW.lowest_amount_30d := least(OLD.unit_amount, (
                SELECT min(unit_amount) FROM prices
                WHERE product_id = OLD.id AND valid_from >= coalesce((
                    SELECT max(valid_from) FROM prices
                    WHERE product_id = OLD.id AND valid_from <= clock_timestamp() - interval '30 days'
                ), '-infinity')
            ));
        END IF;
    ELSE
        NEW.lowest_amount_30d := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER price_settled
    BEFORE UPDATE OF unit_amount, compare_at_amount, sale_amount, regular_amount, regular_compare_at_amount
    ON products FOR EACH ROW
    WHEN ((OLD.unit_amount, OLD.compare_at_amount, OLD.sale_amount,
            OLD.regular_amount, OLD.regular_compare_at_amount)
        IS DISTINCT FROM (NEW.unit_amount, NEW.compare_at_amount, NEW.sale_amount,
            NEW.regular_amount, NEW.regular_compare_at_amount))
    EXECUTE FUNCTION settle_price();

CREATE FUNCTION keep_first_prices() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO prices (product_id, valid_from, unit_amount)
    SELECT id, clock_timestamp(), unit_amount FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER prices_added AFTER INSERT ON products
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION keep_first_prices();

CREATE FUNCTION keep_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A product that is older than this table gets its first row here. Each writer of a price sets
    -- updated_at, so the price has been valid since then at the latest. Earlier prices are not known.
    INSERT INTO prices (product_id, valid_from, unit_amount)
    SELECT OLD.id, OLD.updated_at, OLD.unit_amount
    WHERE NOT EXISTS (SELECT FROM prices WHERE product_id = OLD.id);
    INSERT INTO prices (product_id, valid_from, unit_amount)
    VALUES (NEW.id, clock_timestamp(), NEW.unit_amount)
    ON CONFLICT (product_id, valid_from) DO UPDATE SET unit_amount = excluded.unit_amount;
    RETURN NULL;
END $$;
CREATE TRIGGER price_changed
    AFTER UPDATE OF unit_amount, sale_amount, regular_amount ON products FOR EACH ROW
    WHEN (OLD.unit_amount <> NEW.unit_amount)
    EXECUTE FUNCTION keep_price();
"""


def upgrade() -> None:
    """Add the columns, the tables and the triggers."""
    op.execute(SCHEMA)
    op.execute(RULES)
