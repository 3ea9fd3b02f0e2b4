"""The words of the current names of categories, for search."""

from alembic import op

revision = "0014"
down_revision = "0013"

# A product's `search` has the words of its category's key, which a move does not change. The database
# computes the words of paths and titles, because replicas of the previous release change them, too. The known
# words, by which search corrects typos, include them after the next recount.
WORDS = """
CREATE OR REPLACE FUNCTION name_words(name text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN to_tsvector('pg_catalog.simple', fold_words(name))
        || to_tsvector('pg_catalog.english', fold_words(name));

ALTER TABLE category_keys
    ADD COLUMN IF NOT EXISTS key_words tsvector GENERATED ALWAYS AS (name_words(key)) STORED,
    ADD COLUMN IF NOT EXISTS path_words tsvector
        GENERATED ALWAYS AS (CASE WHEN key <> path THEN name_words(path) END) STORED;
ALTER TABLE categories ADD COLUMN IF NOT EXISTS title_words tsvector
    GENERATED ALWAYS AS (name_words(title)) STORED;

CREATE OR REPLACE TRIGGER category_moved AFTER UPDATE OF path ON category_keys
    FOR EACH STATEMENT EXECUTE FUNCTION note_change();
CREATE OR REPLACE TRIGGER category_titled AFTER INSERT OR UPDATE OF title ON categories
    FOR EACH STATEMENT EXECUTE FUNCTION note_change();
"""


def upgrade() -> None:
    """Add the function and the columns, and learn the words of names that exist; no product is written."""
    op.execute(WORDS)
    op.execute("INSERT INTO catalogue_changes SELECT FROM category_keys LIMIT 1")
