"""What is still to be done for an order, in a table of its own.

Replicas of the release before cannot work on the new tables: they fail, and write nothing. There is no way
back.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

SCHEMA = """
-- What a replica of the release before has begun is committed first. What it begins from now on fails at this
-- table, and is undone. No other table is locked, so that no replica and this wait for each other.
LOCK TABLE orders IN ACCESS EXCLUSIVE MODE;

CREATE TABLE order_work (
    order_id        uuid PRIMARY KEY REFERENCES orders ON DELETE CASCADE,
    next_step       text NOT NULL,
    -- Whose turn it is, and until when.
    lease_token     uuid,
    lease_until     timestamptz,
    attempts        int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    -- Until when the order may be pending, or wait for its customer.
    deadline        timestamptz,
    -- The request that the work is for: what is resumed has its ids.
    request_id      text NOT NULL,
    traceparent     text NOT NULL
)
-- A row lives for a second and is changed twice: there is room for that beside it, and what is left is swept
-- soon.
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX order_work_due ON order_work (next_attempt_at);

-- Leases end here: every step may be taken again. An order that was about to be paid begins at its
-- reservation, which it gets again as it was.
INSERT INTO order_work (order_id, next_step, attempts, deadline, request_id, traceparent)
SELECT id, CASE next_step WHEN 'authorize' THEN 'reserve' ELSE next_step END, attempts, deadline, request_id,
    traceparent
FROM orders
WHERE next_step IS NOT NULL;

-- The index and the check go with their columns.
ALTER TABLE orders DROP COLUMN next_step,
                   DROP COLUMN lease_token,
                   DROP COLUMN lease_until,
                   DROP COLUMN attempts,
                   DROP COLUMN next_attempt_at,
                   DROP COLUMN deadline,
                   ADD CONSTRAINT orders_cancelled_check CHECK (status <> 'cancelled' OR reason IS NOT NULL);
"""


def upgrade() -> None:
    """Move the work out of the orders."""
    op.execute(SCHEMA)
