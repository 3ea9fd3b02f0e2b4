"""Categories as paths, and slugs of products."""

from alembic import op
from sqlalchemy import text

from shared.migrate import create_indexes

revision = "0009"
down_revision = "0008"  # The migration of images, 0008, goes between them.

BATCH = 5_000  # Products that one transaction gives slugs.

# Moving a category must not write its products: their rows are locked by checkouts and have many indexes. So
# `products.category` is a key that never changes, and `category_keys` has the path of each key.
CATEGORIES = """
CREATE TABLE IF NOT EXISTS category_keys (
    key  text PRIMARY KEY,
    path text NOT NULL
);
-- What an admin set for a category.
CREATE TABLE IF NOT EXISTS categories (
    path     text PRIMARY KEY,
    title    text,
    position int NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS former_categories (
    former text PRIMARY KEY,
    path   text NOT NULL
);
"""

SLUGS = r"""
CREATE TABLE IF NOT EXISTS product_slugs (
    slug       text PRIMARY KEY,
    product_id bigint NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    -- A product has one current slug; its former ones redirect.
    is_current boolean NOT NULL DEFAULT true
);

CREATE OR REPLACE FUNCTION title_slug(title text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN coalesce(
        nullif(
            trim(BOTH '-' FROM left(
                trim(BOTH '-' FROM regexp_replace(
                    translate(fold_words(title), U&'''\2019', ''), '[^a-z0-9]+', '-', 'g'
                )),
                80
            )),
            ''
        ),
        'product'
    );

-- Give products a slug from their title. If another product has it, add a number from 2 to 9, else the id.
-- A session keeps the plans of its first call, when the table may have been small; an import adds many rows.
CREATE OR REPLACE FUNCTION give_slugs(ids bigint[]) RETURNS void LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    product record;
BEGIN
    INSERT INTO product_slugs (slug, product_id)
    SELECT DISTINCT ON (title_slug(title)) title_slug(title), id
    FROM products WHERE id = ANY (ids) ORDER BY title_slug(title), id
    ON CONFLICT DO NOTHING;
    FOR product IN
        SELECT id, title_slug(title) AS base FROM products
        WHERE id = ANY (ids)
            AND NOT EXISTS (SELECT FROM product_slugs WHERE product_id = products.id AND is_current)
        ORDER BY id
    LOOP
        -- Another transaction may take the slug first.
        LOOP
            INSERT INTO product_slugs (slug, product_id)
            SELECT candidate, product.id
            FROM generate_series(2, 30) AS number,
                concat_ws('-', product.base, CASE WHEN number < 10 THEN number ELSE product.id END,
                    CASE WHEN number > 10 THEN number END) AS candidate
            WHERE NOT EXISTS (SELECT FROM product_slugs WHERE slug = candidate)
            ORDER BY number LIMIT 1
            ON CONFLICT DO NOTHING;
            EXIT WHEN FOUND;
        END LOOP;
    END LOOP;
END $$;

-- A trigger, because replicas of the previous release add products, too.
CREATE OR REPLACE FUNCTION give_new_slugs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM give_slugs(array_agg(id)) FROM added WHERE parent_id IS NULL HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER product_added AFTER INSERT ON products
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION give_new_slugs();
"""

INDEXES = {
    "category_keys_path": "ON category_keys (path)",
    "category_keys_moved": "ON category_keys (key) WHERE key <> path",
    "UNIQUE product_slugs_current": "ON product_slugs (product_id) INCLUDE (slug) WHERE is_current",
}

NEXT_BATCH = text("""
    SELECT max(id) FROM (
        SELECT id FROM products WHERE id > :after AND parent_id IS NULL ORDER BY id LIMIT :limit
    ) AS batch
""")
FILL = text("""
    SELECT give_slugs(array(
        SELECT id FROM products
        WHERE id > :after AND id <= :upto AND parent_id IS NULL
            AND NOT EXISTS (SELECT FROM product_slugs WHERE product_id = products.id AND is_current)
    ))
""")


def upgrade() -> None:
    """Add the tables and the trigger, and give each product a slug, in batches that lock no product."""
    op.execute(CATEGORIES)
    op.execute(SLUGS)
    create_indexes(INDEXES)
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")
        connection = op.get_bind()
        after = -1
        while (upto := connection.execute(NEXT_BATCH, {"after": after, "limit": BATCH}).scalar()) is not None:
            connection.execute(FILL, {"after": after, "upto": upto})
            after = upto
        op.execute("RESET statement_timeout")
    op.execute(
        "INSERT INTO category_keys (key, path) SELECT category, category FROM facet_counts"
        " WHERE category <> '' AND brand = '' ON CONFLICT DO NOTHING"
    )
