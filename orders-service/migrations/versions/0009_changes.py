"""Add the transaction of each event, by which programs read the changes of orders."""

from alembic import op

from shared.migrate import create_indexes

revision = "0009"
down_revision = "0008"

# Events of earlier releases have no transaction. Replicas of the release before write theirs by the default.
SCHEMA = """
ALTER TABLE order_events ADD COLUMN IF NOT EXISTS transaction_id xid8;
-- As a part of ADD COLUMN, the default would give all earlier events the id of this transaction.
ALTER TABLE order_events ALTER COLUMN transaction_id SET DEFAULT pg_current_xact_id();
"""
INDEXES = {
    "order_events_by_transaction": "ON order_events (transaction_id, id) WHERE transaction_id IS NOT NULL"
}


def upgrade() -> None:
    """Add the column and the index, without a lock that callers feel."""
    op.execute(SCHEMA)
    create_indexes(INDEXES)
