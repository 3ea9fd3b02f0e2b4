"""Products written by admins, consistent stock counts, and reports of copies of the source."""

from alembic import op

revision = "0004"
down_revision = "0003"

PRODUCTS = """
ALTER TABLE products
    -- The fields that an admin set, which copies do not overwrite: column names, 'stock', 'removed'.
    ADD COLUMN edited text[] NOT NULL DEFAULT '{}',
    -- Reserved units that the source has since withdrawn. While there are any, on_hand equals reserved.
    -- At all times, on_hand - shortfall = source_on_hand - sold.
    ADD COLUMN shortfall bigint NOT NULL DEFAULT 0 CHECK (shortfall >= 0);

-- Earlier releases did not record how far a source had fallen below the reserved units, so the counts start
-- from the current stock.
UPDATE products SET source_on_hand = on_hand + sold
FROM (
    SELECT products.id, coalesce(sum(quantity) FILTER (WHERE state = 'committed'), 0) AS sold
    FROM products
        LEFT JOIN reservation_lines ON product_id = products.id
        LEFT JOIN reservations USING (order_id)
    GROUP BY products.id
) AS sales
WHERE sales.id = products.id AND source_on_hand IS DISTINCT FROM on_hand + sold;

CREATE INDEX products_sku ON products (sku) WHERE removed_at IS NULL;

-- Ids of the shop's own products: the last ones that JavaScript represents exactly, above those of any
-- source.
CREATE SEQUENCE local_product_ids MINVALUE 9000000000000000 MAXVALUE 9007199254740991;
"""

SOURCE = """
ALTER TABLE source_copy
    -- The number of the copy that may write; a copy that lost its lease to a newer one may not.
    ADD COLUMN fence bigint NOT NULL DEFAULT 0,
    ADD COLUMN leased_until timestamptz,
    -- The options that an admin requested for the next copy.
    ADD COLUMN requested_at timestamptz,
    ADD COLUMN overwrite boolean NOT NULL DEFAULT false,
    ADD COLUMN allow_removals boolean NOT NULL DEFAULT false;

-- The pages of the source as last read, so that the source need not resend unchanged pages.
CREATE TABLE source_pages (
    skip          bigint PRIMARY KEY,
    fence         bigint NOT NULL,
    page_limit    int NOT NULL,
    etag          text,
    last_modified text,
    total         bigint,
    length        int NOT NULL,
    offers        jsonb NOT NULL,
    rejected      jsonb NOT NULL
);

CREATE TABLE source_syncs (
    id             bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    source         text NOT NULL,
    status         text NOT NULL CHECK (status IN ('running', 'done', 'failed', 'refused', 'abandoned')),
    overwrite      boolean NOT NULL,
    allow_removals boolean NOT NULL,
    started_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz,
    pages          int NOT NULL DEFAULT 0,
    unchanged_pages int NOT NULL DEFAULT 0,
    added          int NOT NULL DEFAULT 0,
    changed        int NOT NULL DEFAULT 0,
    removed        int NOT NULL DEFAULT 0,
    rejected_count int NOT NULL DEFAULT 0,
    rejected       jsonb NOT NULL DEFAULT '[]',
    detail         text
);
"""


def upgrade() -> None:
    """Add the columns and the tables."""
    op.execute(PRODUCTS)
    op.execute(SOURCE)
