"""Products, and the status of the copy of their source."""

from alembic import op

revision = "0001"
down_revision = None

SCHEMA = """
CREATE TABLE products (
    id          bigint PRIMARY KEY,
    sku         text NOT NULL,
    title       text NOT NULL,
    brand       text,
    category    text NOT NULL,
    unit_amount bigint NOT NULL CHECK (unit_amount >= 0),
    description text NOT NULL,
    rating      numeric(3, 2),
    on_hand     bigint NOT NULL CHECK (on_hand >= 0),
    images      text[] NOT NULL DEFAULT '{}',
    version     bigint NOT NULL DEFAULT 1,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    -- A product that the source no longer has is not for sale, but its row stays for existing orders.
    removed_at  timestamptz
);

CREATE INDEX products_for_sale ON products (id) WHERE removed_at IS NULL;

-- One row: the status of copying the product source, shared by all replicas.
CREATE TABLE source_copy (
    id              int PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    source          text,
    copied_at       timestamptz,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    failures        int NOT NULL DEFAULT 0,
    error_status    int,
    error_detail    text
);

INSERT INTO source_copy DEFAULT VALUES;
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(SCHEMA)
