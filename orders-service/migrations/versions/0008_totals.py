"""Add shipping methods, tax rates, coupons, and the totals of orders."""

from alembic import op

from shared.migrate import create_indexes

revision = "0008"
down_revision = "0007"

# Constant defaults do not rewrite a table. In an order of a release before, `amount` is NULL, and means the
# amount of its items.
ORDERS = """
ALTER TABLE orders
    ADD COLUMN IF NOT EXISTS coupon text,
    ADD COLUMN IF NOT EXISTS shipping_method text,
    ADD COLUMN IF NOT EXISTS adjustments jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS tax_amount bigint,
    ADD COLUMN IF NOT EXISTS amount bigint,
    -- An order that costs nothing needs no payment.
    ALTER COLUMN payment_method DROP NOT NULL,
    -- A refund may return shipping and taxes, too. The constraint is validated later, without this lock.
    DROP CONSTRAINT IF EXISTS orders_refunded_check,
    DROP CONSTRAINT IF EXISTS orders_totals_check,
    ADD CONSTRAINT orders_totals_check
        CHECK (amount >= 0 AND amount_refunded <= coalesce(amount, items_amount)) NOT VALID;
ALTER TABLE order_lines
    ADD COLUMN IF NOT EXISTS discount_amount bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS tax_rate int,
    ADD COLUMN IF NOT EXISTS tax_amount bigint NOT NULL DEFAULT 0;
ALTER TABLE carts
    ADD COLUMN IF NOT EXISTS coupon text,
    ADD COLUMN IF NOT EXISTS delivery jsonb;
"""
RULES = """
CREATE TABLE IF NOT EXISTS shipping_methods (
    code                 text PRIMARY KEY,
    title                text NOT NULL,
    countries            text[] NOT NULL DEFAULT '{}',
    regions              text[] NOT NULL DEFAULT '{}',
    postal_codes         text[] NOT NULL DEFAULT '{}',
    price                bigint CHECK (price >= 0),
    prices               jsonb NOT NULL DEFAULT '[]',
    free_from            bigint,
    tax_class            text,
    excluded_tax_classes text[] NOT NULL DEFAULT '{}',
    delivery_time        text,
    position             int NOT NULL DEFAULT 0,
    active               boolean NOT NULL DEFAULT true,
    created_at           timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS tax_rates (
    id         uuid PRIMARY KEY DEFAULT uuidv7(),
    country    text NOT NULL,
    region     text,
    tax_class  text,
    rate       int NOT NULL CHECK (rate BETWEEN 0 AND 10000),
    title      text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX IF NOT EXISTS tax_rates_place
    ON tax_rates (coalesce(region, country), coalesce(tax_class, ''));

-- The replicas keep the methods and rates in memory, and read them again when this version differs.
CREATE TABLE IF NOT EXISTS pricing (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- Random, so that a database that was restored from a backup does not repeat a version.
    version uuid NOT NULL
);
INSERT INTO pricing (version) VALUES (gen_random_uuid()) ON CONFLICT DO NOTHING;
CREATE OR REPLACE FUNCTION renew_pricing_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pricing SET version = gen_random_uuid();
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER shipping_methods_version AFTER INSERT OR UPDATE OR DELETE ON shipping_methods
    FOR EACH STATEMENT EXECUTE FUNCTION renew_pricing_version();
CREATE OR REPLACE TRIGGER tax_rates_version AFTER INSERT OR UPDATE OR DELETE ON tax_rates
    FOR EACH STATEMENT EXECUTE FUNCTION renew_pricing_version();
"""
COUPONS = """
CREATE TABLE IF NOT EXISTS coupons (
    id                 uuid PRIMARY KEY DEFAULT uuidv7(),
    code               text NOT NULL,
    -- The code as it is compared, without regard to case.
    key                text NOT NULL,
    percent            int CHECK (percent BETWEEN 1 AND 100),
    amount             bigint CHECK (amount > 0),
    free_shipping      boolean NOT NULL DEFAULT false,
    minimum            bigint,
    products           bigint[] NOT NULL DEFAULT '{}',
    categories         text[] NOT NULL DEFAULT '{}',
    starts             timestamptz,
    ends               timestamptz,
    use_limit          bigint,
    limit_per_customer bigint,
    first_order_only   boolean NOT NULL DEFAULT false,
    active             boolean NOT NULL DEFAULT true,
    uses               bigint NOT NULL DEFAULT 0 CHECK (uses >= 0),
    created_at         timestamptz NOT NULL DEFAULT now(),
    -- A coupon that orders have used stays in the books.
    deleted_at         timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS coupons_key ON coupons (key) WHERE deleted_at IS NULL;
CREATE TABLE IF NOT EXISTS coupon_customers (
    coupon_id uuid NOT NULL REFERENCES coupons (id),
    -- The account, or the guest's email address in lower case.
    customer  text NOT NULL,
    uses      bigint NOT NULL CHECK (uses >= 0),
    PRIMARY KEY (coupon_id, customer)
);
CREATE TABLE IF NOT EXISTS coupon_uses (
    order_id    uuid PRIMARY KEY REFERENCES orders (id),
    coupon_id   uuid NOT NULL REFERENCES coupons (id),
    customer    text NOT NULL,
    used_at     timestamptz NOT NULL DEFAULT now(),
    -- When the order was refused or cancelled.
    returned_at timestamptz
);
CREATE INDEX IF NOT EXISTS coupon_uses_of_coupon ON coupon_uses (coupon_id, order_id);

-- A trigger, so that the statement that cancels an order gives its use back in every release. The
-- statement that places an order writes these rows in the same order, so that the two cannot deadlock.
CREATE OR REPLACE FUNCTION return_coupon() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    returned coupon_uses;
BEGIN
    UPDATE coupon_uses SET returned_at = now() WHERE order_id = NEW.id AND returned_at IS NULL
        RETURNING * INTO returned;
    IF FOUND THEN
        UPDATE coupon_customers SET uses = uses - 1
            WHERE coupon_id = returned.coupon_id AND customer = returned.customer;
        UPDATE coupons SET uses = uses - 1 WHERE id = returned.coupon_id;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER orders_return_coupon AFTER UPDATE OF status ON orders FOR EACH ROW
    WHEN (NEW.status = 'cancelled' AND OLD.status <> 'cancelled' AND NEW.coupon IS NOT NULL)
    EXECUTE FUNCTION return_coupon();
"""
INDEXES = {"orders_email": "ON orders (lower(email)) WHERE email IS NOT NULL"}


def upgrade() -> None:
    """Add the tables, columns, triggers and the index, without a lock that callers feel."""
    for statements in (ORDERS, RULES, COUPONS):
        op.execute(statements)
    create_indexes(INDEXES)
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE orders VALIDATE CONSTRAINT orders_totals_check")
