"""Stock held for orders, and sold stock."""

from alembic import op

revision = "0002"
down_revision = "0001"

SCHEMA = """
ALTER TABLE products
    ADD COLUMN reserved bigint NOT NULL DEFAULT 0,
    -- The source's last value; on_hand changes by the difference. NULL before the first copy.
    ADD COLUMN source_on_hand bigint,
    ADD CONSTRAINT products_stock CHECK (reserved >= 0 AND reserved <= on_hand);

UPDATE products SET source_on_hand = on_hand;

CREATE TABLE reservations (
    order_id   uuid PRIMARY KEY,
    customer   text,
    currency   text,
    state      text NOT NULL CHECK (state IN ('held', 'committed', 'released', 'lapsed', 'closed')),
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- A reservation that was closed before it began has neither a customer nor lines.
    CHECK (state = 'closed' OR num_nulls(customer, currency, expires_at) = 0)
);

CREATE INDEX reservations_to_lapse ON reservations (expires_at) WHERE state = 'held';

CREATE TABLE reservation_lines (
    order_id    uuid REFERENCES reservations,
    product_id  bigint REFERENCES products,
    quantity    bigint NOT NULL CHECK (quantity > 0),
    sku         text NOT NULL,
    title       text NOT NULL,
    unit_amount bigint NOT NULL CHECK (unit_amount >= 0),
    PRIMARY KEY (order_id, product_id)
);
"""


def upgrade() -> None:
    """Add the columns and the tables."""
    op.execute(SCHEMA)
