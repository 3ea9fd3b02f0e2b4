"""Add refunds, prices and guests in carts, periodic jobs, and make events append-only."""

from alembic import op

revision = "0002"
down_revision = "0001"

SCHEMA = """
CREATE TABLE refunds (
    id         uuid PRIMARY KEY,
    order_id   uuid NOT NULL REFERENCES orders,
    amount     bigint NOT NULL CHECK (amount > 0),
    restock    boolean NOT NULL,
    status     text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
    error      text,
    actor      text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refunds_of_order ON refunds (order_id);
-- An order has one pending refund at most, so that concurrent refunds cannot exceed its total.
CREATE UNIQUE INDEX refunds_pending ON refunds (order_id) WHERE status = 'pending';

ALTER TABLE orders ADD CONSTRAINT orders_refunded_check CHECK (amount_refunded <= items_amount);
CREATE INDEX orders_of_status ON orders (status, id DESC);

-- The price at which a line was added, and whether the cart is a guest's, who may never return.
ALTER TABLE cart_items ADD unit_amount bigint,
                       ADD is_guest boolean NOT NULL DEFAULT false,
                       ADD updated_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX cart_items_of_guests ON cart_items (updated_at) WHERE is_guest;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- The replica that advances `due_at` runs the job.
CREATE TABLE jobs (
    name   text PRIMARY KEY,
    due_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO jobs (name) VALUES ('sweep');

CREATE FUNCTION refuse_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'An order''s story is only ever added to.' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER order_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_event_change();
"""


def upgrade() -> None:
    """Add the tables, columns and indexes, and the trigger."""
    op.execute(SCHEMA)
