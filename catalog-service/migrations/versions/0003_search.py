"""Finding products: orders, filters, words, misspelt words, and how many there are of what."""

from alembic import op

revision = "0003"
down_revision = "0002"

# What is derived is derived by the database, so that every writer is right without knowing of it. These
# columns are compared as values: a hold that leaves some in stock touches no index (a HOT update).
COLUMNS = """
CREATE FUNCTION search_text(title text, sku text, brand text, category text, description text)
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- Beside the stems the words as they are, for English passes over a brand called "It".
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
    -- Leaves room in each page for the next version of a row.
    SET (fillfactor = 85);

CREATE INDEX products_search ON products USING gin (search) WHERE removed_at IS NULL;
CREATE INDEX products_in_stock ON products (in_stock, id) WHERE removed_at IS NULL;

-- Brands belong to categories, which the planner would not think of by itself.
CREATE STATISTICS products_facets (mcv, dependencies) ON category, brand, in_stock FROM products;
"""

# Every order within everything, within a category and within a brand: whichever page of whichever is asked
# for, it is one walk along an index. All orders are ascending here; an index can be walked both ways.
SCOPES = ("", "category, ", "brand, ")
ORDERS = {
    "id": "id",
    "price": "unit_amount, id",
    "title": "left(lower(title), 100), id",
    "rating": "coalesce(rating, -1), id",
    "newest": "created_at, id",
}

# A recount of all takes a second for a million products, so it is done beside the requests, and only after
# a change. The note of a change is a row of its own, so that no writer waits for another.
COUNTS = """
CREATE TABLE facet_counts (
    -- '' stands for all of them.
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

-- The words of titles, brands and categories, to find those that a misspelt one may have meant.
CREATE TABLE search_words (
    word     text PRIMARY KEY,
    products bigint NOT NULL,
    stem     text GENERATED ALWAYS AS ((tsvector_to_array(to_tsvector('english', word)))[1]) STORED,
    trigrams text[] NOT NULL GENERATED ALWAYS AS (word_trigrams(word)) STORED
);
CREATE INDEX search_words_stem ON search_words (stem);
CREATE INDEX search_words_trigrams ON search_words USING gin (trigrams);

CREATE TABLE catalogue_changes (noted_at timestamptz NOT NULL DEFAULT now());

-- One row: when the next recount may be.
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
            # The plain order by id has an index since the first migration.
            if index != "products_id":
                op.execute(f"CREATE INDEX {index} ON products ({scope}{order}) WHERE removed_at IS NULL")
    op.execute(COUNTS)
