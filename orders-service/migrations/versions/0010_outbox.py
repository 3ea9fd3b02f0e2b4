"""Add the outbox, which an order's events fill, and webhooks."""

from alembic import op

from shared.outbox_schema import OUTBOX_SCHEMA

revision = "0010"
down_revision = "0009"

WEBHOOKS = """
CREATE TABLE IF NOT EXISTS webhooks (
    id             uuid PRIMARY KEY DEFAULT uuidv7(),
    url            text NOT NULL,
    -- Types such as order.paid, and patterns: order.* and *.
    events         text[] NOT NULL,
    description    text,
    secret         text NOT NULL,
    -- The secret before it, which also signs until then.
    old_secret     text,
    old_until      timestamptz,
    created_by     text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
-- For the list of a webhook's deliveries.
CREATE INDEX IF NOT EXISTS outbox_of_webhook ON outbox (endpoint, id) WHERE channel = 'webhook';
"""
# A trigger, so that each statement that records an event also records its messages, in every release. It
# runs at the end of the statement, which has changed the order by then.
TRIGGER = """
CREATE OR REPLACE FUNCTION tell_of_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    type text := 'order.' || CASE WHEN NEW.kind = 'refunded' THEN 'refunded' ELSE NEW.to_status END;
    patterns text[] := ARRAY[type, 'order.*', '*'];
    has_mail boolean := type NOT IN ('order.paid', 'order.delivered');
    has_webhook boolean := EXISTS (SELECT FROM webhooks WHERE events && patterns);
    address text;
    snapshot jsonb;
BEGIN
    IF NOT has_mail AND NOT has_webhook THEN
        RETURN NULL;
    END IF;
    SELECT email, jsonb_build_object(
        'event', to_jsonb(NEW),
        'order', to_jsonb(orders),
        'lines', (SELECT jsonb_agg(to_jsonb(line) ORDER BY product_id) FROM order_lines AS line
                  WHERE line.order_id = orders.id))
        INTO address, snapshot FROM orders
        WHERE id = NEW.order_id AND (has_webhook OR email IS NOT NULL);
    IF has_mail AND address IS NOT NULL THEN
        INSERT INTO outbox (channel, endpoint, subject, kind, recipient, data)
        VALUES ('mail', 'mail', NEW.order_id::text, replace(type, '.', '_'), address, snapshot);
    END IF;
    IF has_webhook THEN
        INSERT INTO outbox (channel, endpoint, subject, kind, data)
        SELECT 'webhook', name, NEW.order_id::text, type, snapshot
        FROM webhooks JOIN outbox_endpoints ON name = webhooks.id::text
        WHERE events && patterns AND is_active
        -- So that a deletion, which waits for this transaction, also deletes these messages.
        FOR KEY SHARE OF outbox_endpoints;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER order_events_tell AFTER INSERT ON order_events FOR EACH ROW
    WHEN (NEW.kind = 'refunded'
        OR NEW.to_status IN ('confirmed', 'paid', 'shipped', 'delivered')
            AND NEW.from_status IS DISTINCT FROM NEW.to_status
        -- The customer saw a refusal before that.
        OR NEW.to_status = 'cancelled' AND NEW.from_status IN ('confirmed', 'paid'))
    EXECUTE FUNCTION tell_of_order();
-- After the trigger: events from this moment on have their messages.
INSERT INTO outbox_endpoints (name, channel) VALUES ('mail', 'mail') ON CONFLICT DO NOTHING;
"""


def upgrade() -> None:
    """Add the tables and the trigger."""
    for statements in (OUTBOX_SCHEMA, WEBHOOKS, TRIGGER):
        op.execute(statements)
