"""Add orders with their next step, lines and events, carts, and idempotency keys."""

from alembic import op

revision = "0001"
down_revision = None

SCHEMA = """
CREATE TABLE orders (
    id               uuid PRIMARY KEY,
    customer         text NOT NULL,
    status           text NOT NULL CHECK (status IN ('pending', 'awaiting_payment', 'confirmed', 'paid',
                                                     'shipped', 'delivered', 'refunded', 'cancelled')),
    reason           text,
    email            text,
    payment_method   text NOT NULL,
    shipping_address jsonb NOT NULL,
    currency         text,
    items_amount     bigint CHECK (items_amount >= 0),
    amount_refunded  bigint NOT NULL DEFAULT 0 CHECK (amount_refunded >= 0),
    payment_id       uuid,
    payment_status   text,
    -- The next step of the checkout, and the lease on it.
    next_step        text,
    refusal          jsonb,
    lease_token      uuid,
    lease_until      timestamptz,
    attempts         int NOT NULL DEFAULT 0,
    next_attempt_at  timestamptz NOT NULL DEFAULT now(),
    deadline         timestamptz NOT NULL,
    -- The request that placed the order or refunded it. Resumed work logs these ids.
    request_id       text NOT NULL,
    traceparent      text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CHECK (status IN ('pending', 'awaiting_payment', 'cancelled') OR items_amount IS NOT NULL),
    CHECK (status <> 'cancelled' OR (reason IS NOT NULL AND next_step IS NULL))
);
CREATE INDEX orders_of_customer ON orders (customer, id DESC);
CREATE INDEX orders_unfinished ON orders (next_attempt_at) WHERE next_step IS NOT NULL;

CREATE TABLE order_lines (
    order_id    uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    product_id  bigint NOT NULL,
    quantity    bigint NOT NULL CHECK (quantity > 0),
    sku         text,
    title       text,
    unit_amount bigint CHECK (unit_amount >= 0),
    PRIMARY KEY (order_id, product_id)
);

CREATE TABLE order_events (
    id          uuid PRIMARY KEY DEFAULT uuidv7(),
    order_id    uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    time        timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind        text NOT NULL,
    from_status text,
    to_status   text,
    actor       text NOT NULL,
    detail      text
);
CREATE INDEX order_events_of_order ON order_events (order_id, id);

CREATE TABLE cart_items (
    owner      text NOT NULL,
    product_id bigint NOT NULL,
    quantity   bigint NOT NULL CHECK (quantity > 0),
    added_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner, product_id)
);

CREATE TABLE idempotency_keys (
    principal    text NOT NULL,
    route        text NOT NULL,
    key          text NOT NULL,
    fingerprint  text NOT NULL,
    -- The transaction inserts the key first and the order afterwards.
    order_id     uuid NOT NULL REFERENCES orders ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    -- Whether the caller got 202, and may repeat the call to poll the order.
    is_accepted  boolean NOT NULL DEFAULT false,
    status       int,
    content_type text,
    body         bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, route, key)
);
CREATE INDEX idempotency_keys_of_order ON idempotency_keys (order_id);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(SCHEMA)
