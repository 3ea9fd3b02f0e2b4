"""Images: the files, and the images of products."""

from alembic import op

from shared.migrate import create_indexes

revision = "0008"
down_revision = "0007"

TABLES = """
CREATE TABLE IF NOT EXISTS image_files (
    -- Of the file as it was uploaded.
    hash     text PRIMARY KEY,
    width    int NOT NULL,
    height   int NOT NULL,
    colour   text NOT NULL,
    -- WebP of at most 480 and 1200 pixels. It does not compress further.
    small    bytea STORAGE EXTERNAL NOT NULL,
    large    bytea STORAGE EXTERNAL NOT NULL,
    used_at  timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS product_images (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id  bigint NOT NULL REFERENCES products (id),
    -- The entry in the product's `images`: of the product source, or the URL of the file.
    url         text NOT NULL,
    -- NULL until the image has been fetched from the source.
    hash        text REFERENCES image_files (hash),
    alt         text NOT NULL DEFAULT '',
    attempts    int NOT NULL DEFAULT 0,
    -- When to fetch the image; NULL if it is stored, or if it was refused for the reason in `detail`.
    due_at      timestamptz,
    detail      text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (product_id, url)
);
CREATE INDEX IF NOT EXISTS product_images_due ON product_images (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS product_images_url ON product_images (url);
CREATE INDEX IF NOT EXISTS product_images_hash ON product_images (hash);
ALTER TABLE products
    -- The stored images of a product by URL: {url: {id, hash, alt, width, height, colour}}.
    ADD COLUMN IF NOT EXISTS media     jsonb NOT NULL DEFAULT '{}',
    -- The image of a variant, one of its product's.
    ADD COLUMN IF NOT EXISTS image_id  bigint;
ALTER TABLE products DROP CONSTRAINT IF EXISTS products_image_id_fkey;
-- A constraint that is not valid yet needs no scan under the lock, but it holds for every new row.
ALTER TABLE products ADD CONSTRAINT products_image_id_fkey
    FOREIGN KEY (image_id) REFERENCES product_images (id) ON DELETE SET NULL NOT VALID;
"""


def upgrade() -> None:
    """Add the tables and the columns, without a lock that callers feel."""
    op.execute(TABLES)
    create_indexes({"products_image": "ON products (image_id) WHERE image_id IS NOT NULL"})
    op.execute("ALTER TABLE products VALIDATE CONSTRAINT products_image_id_fkey")
