"""Product search: orders, filters, words, typo correction and facet counts."""

from alembic import op

revision = "0003"
down_revision = "0002"

# The database computes the derived columns, so that every writer gets them right. PostgreSQL compares their
# values: a hold that leaves some units in stock changes no index (a HOT update).
COLUMNS = """
CREATE FUNCTION search_text(title text, sku text, brand text, category text, description text)
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- Index the words in addition to their stems, because the English configuration ignores a brand named
    -- "It".
    SELECT setweight(to_tsvector('simple', title || ' ' || sku), 'A')
        || setweight(to_tsvector('english', title), 'A')
        || setweight(to_tsvector('simple', concat_ws(' ', brand, category)), 'B')
        || setweight(to_tsvector('english', concat_ws(' ', brand, category)), 'B')
        || setweight(to_tsvector('english', description), 'D')
$$;

ALTER TABLE products
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN in_stock boolean NOT NULL GENERATED ALWAYS AS (on_hand > reserved) STORED,
    ADD COLUMN search tsvector NOT NULL
        GENERATED ALWAYS AS (search_text(title, sku, brand, category, description)) STORED,
    -- Leave room in each page for the next version of a row.
    SET (fillfactor = 85);

CREATE INDEX products_search ON products USING gin (search) WHERE removed_at IS NULL;
CREATE INDEX products_in_stock ON products (in_stock, id) WHERE removed_at IS NULL;

-- Brands depend on categories, which the planner cannot know without these statistics.
CREATE STATISTICS products_facets (mcv, dependencies) ON category, brand, in_stock FROM products;
"""

# One index for each order, over all products, per category and per brand, so that every page of a list is one
# index scan. All indexes are ascending, because PostgreSQL can scan an index backwards.
SCOPES = ("", "category, ", "brand, ")
ORDERS = {
    "id": "id",
    "price": "unit_amount, id",
    "title": "left(lower(title), 100), id",
    "rating": "coalesce(rating, -1), id",
    "newest": "created_at, id",
}

# A full recount of a million products takes a second, so it runs in the background, and only after a change.
# Each change is a row of its own, so that writers do not block each other.
COUNTS = """
CREATE TABLE facet_counts (
    -- '' means all categories or all brands.
    category text,
    brand    text,
    products bigint NOT NULL,
    lowest   bigint NOT NULL,
    highest  bigint NOT NULL,
    PRIMARY KEY (category, brand)
);
CREATE INDEX facet_counts_brands ON facet_counts (category, products) WHERE brand <> '';
CREATE INDEX facet_counts_categories ON facet_counts (brand, products) WHERE category <> '';

CREATE FUNCTION word_trigrams(word text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array(
        SELECT DISTINCT substr('  ' || word || ' ', place, 3)
        FROM generate_series(1, length(word) + 1) AS place
    )
$$;

-- The words of titles, brands and categories, used to correct typos.
CREATE TABLE search_words (
    word     text PRIMARY KEY,
    products bigint NOT NULL,
    stem     text GENERATED ALWAYS AS ((tsvector_to_array(to_tsvector('english', word)))[1]) STORED,
    trigrams text[] NOT NULL GENERATED ALWAYS AS (word_trigrams(word)) STORED
);
CREATE INDEX search_words_stem ON search_words (stem);
CREATE INDEX search_words_trigrams ON search_words USING gin (trigrams);

CREATE TABLE catalogue_changes (noted_at timestamptz NOT NULL DEFAULT now());

-- One row: the earliest time of the next recount.
CREATE TABLE recount (
    id     int PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    due_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO recount DEFAULT VALUES;

CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalogue_changes DEFAULT VALUES;
    RETURN NULL;
END $$;
CREATE TRIGGER products_changed
    AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF title, brand, category, unit_amount, removed_at
    ON products FOR EACH STATEMENT EXECUTE FUNCTION note_change();

INSERT INTO catalogue_changes SELECT FROM products LIMIT 1;
"""


def upgrade() -> None:
    """Add the columns, the indexes and the tables."""
    op.execute(COLUMNS)
    for scope in SCOPES:
        for name, order in ORDERS.items():
            index = "_".join(["products", *scope.strip(", ").split(), name])
            # Migration 0001 already created the index for all products by id.
            if index != "products_id":
                op.execute(f"CREATE INDEX {index} ON products ({scope}{order}) WHERE removed_at IS NULL")
    op.execute(COUNTS)
