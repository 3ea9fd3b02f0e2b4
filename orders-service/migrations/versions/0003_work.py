"""Move the work on orders into a table of its own.

Replicas of the previous release cannot use the new tables: their statements fail and write nothing. There is
no downgrade.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

SCHEMA = """
-- Open transactions of replicas of the previous release commit first. Their later transactions fail at this
-- table and are rolled back. No other table is locked, so this migration cannot deadlock with a replica.
LOCK TABLE orders IN ACCESS EXCLUSIVE MODE;

CREATE TABLE order_work (
    order_id        uuid PRIMARY KEY REFERENCES orders ON DELETE CASCADE,
    next_step       text NOT NULL,
    -- The lease.
    lease_token     uuid,
    lease_until     timestamptz,
    attempts        int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    -- The end of the time that the order may be pending or wait for its customer.
    deadline        timestamptz,
    -- The request that the work is done for. Resumed work logs these ids.
    request_id      text NOT NULL,
    traceparent     text NOT NULL
)
-- A row lives for a second and is updated twice. Each page keeps free space for the new row versions, and
-- dead rows are vacuumed soon.
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX order_work_due ON order_work (next_attempt_at);

-- No lease is kept, because every step can be repeated. An order at `authorize` starts again at its
-- reservation, which is idempotent.
INSERT INTO order_work (order_id, next_step, attempts, deadline, request_id, traceparent)
SELECT id, CASE next_step WHEN 'authorize' THEN 'reserve' ELSE next_step END, attempts, deadline, request_id,
    traceparent
FROM orders
WHERE next_step IS NOT NULL;

-- PostgreSQL drops the index and the check together with their columns.
ALTER TABLE orders DROP COLUMN next_step,
                   DROP COLUMN lease_token,
                   DROP COLUMN lease_until,
                   DROP COLUMN attempts,
                   DROP COLUMN next_attempt_at,
                   DROP COLUMN deadline,
                   ADD CONSTRAINT orders_cancelled_check CHECK (status <> 'cancelled' OR reason IS NOT NULL);
"""


def upgrade() -> None:
    """Move the work."""
    op.execute(SCHEMA)
