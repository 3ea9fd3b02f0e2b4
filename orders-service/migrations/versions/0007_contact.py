"""Add the order's number, billing address, note and expected amount, search, and address books."""

from alembic import op

from shared.migrate import create_indexes

revision = "0007"
down_revision = "0006"

# Orders of earlier releases have no number; replicas of the release before number theirs by the default.
# Both parts of an expression index are columns that no step of an order changes.
SCHEMA = """
CREATE SEQUENCE IF NOT EXISTS order_numbers START WITH 1001;
ALTER TABLE orders
    ADD COLUMN IF NOT EXISTS number bigint,
    ADD COLUMN IF NOT EXISTS billing_address jsonb,
    ADD COLUMN IF NOT EXISTS note text,
    -- The total that the customer was shown; a different one refuses the order.
    ADD COLUMN IF NOT EXISTS expected_amount bigint;
-- As a part of ADD COLUMN, the default would rewrite the table.
ALTER TABLE orders ALTER COLUMN number SET DEFAULT nextval('order_numbers');
ALTER SEQUENCE order_numbers OWNED BY orders.number;

CREATE TABLE IF NOT EXISTS addresses (
    customer text NOT NULL,
    id uuid NOT NULL,
    address jsonb NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer, id)
);

-- The words by which an admin finds an order: of its email address and of both names.
CREATE OR REPLACE FUNCTION contact_words(email text, shipping_address jsonb, billing_address jsonb)
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('simple'::regconfig,
        concat_ws(' ', email, shipping_address ->> 'name', billing_address ->> 'name'));
"""
INDEXES = {
    "UNIQUE orders_number": "ON orders (number)",
    "orders_contact": "ON orders USING gin (contact_words(email, shipping_address, billing_address))",
}


def upgrade() -> None:
    """Add the columns, the table, the function and the indexes, without a lock that callers feel."""
    op.execute(SCHEMA)
    create_indexes(INDEXES)
