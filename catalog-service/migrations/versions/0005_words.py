"""Words as people read them: without surrounding punctuation and without accents."""

from alembic import op

revision = "0005"
down_revision = "0004"

# Characters inside a word that search ignores: accents, vowel points, soft hyphens, invisible characters.
UNCOUNTED = (
    r"\u00ad\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640"
    r"\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff"
    # Viramas and nuktas of Indic scripts.
    r"\u093c\u094d\u09bc\u09cd\u0a3c\u0a4d\u0abc\u0acd\u0b3c\u0b4d\u0bcd\u0c4d\u0cbc\u0ccd\u0d4d\u0dca\U000110ba"
    r"\u1dc0-\u1dff\u200c-\u200f\u202a-\u202e\u2060-\u206f\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\ufeff"
)
# Significant marks that PostgreSQL does not treat as letters: Thai, Lao, Burmese, Khmer and Japanese.
COUNTED = r"\u0e47-\u0e4e\u0ec8-\u0ece\u1037\u1039\u103a\u17c9-\u17d3\u3099\u309a"
# PostgreSQL's parser treats every character beyond ASCII as a letter, and would recognise file names, hosts
# and signed numbers. It splits words at the other ASCII characters itself, which is cheaper than a
# regular-expression match. The ranges at the end are apostrophes and enclosed letters, which PostgreSQL
# treats as letters.
SEPARATOR = (
    rf"([^[:alnum:]\u0001-\u007f{UNCOUNTED}{COUNTED}]"
    r"|[-.:/@&<_+~\u02b9-\u02bf\u24b6-\u24e9\U0001f130-\U0001f189])+"
)
# Separators between groups of thousands.
GROUPING = r"[.,''\u2019\u00a0\u2009\u202f]"

WORDS = rf"""
CREATE FUNCTION split_words(written text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN regexp_replace(written COLLATE pg_unicode_fast, '{SEPARATOR}', ' ', 'g');

-- Split before the compatibility decomposition, which would turn a trademark sign into the letters TM.
CREATE FUNCTION fold_words(written text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    words text := regexp_replace(written COLLATE pg_unicode_fast, '{SEPARATOR}', ' ', 'g');
BEGIN
    IF octet_length(words) = length(words) THEN
        RETURN lower(words);
    END IF;
    words := regexp_replace(normalize(words, NFKD), '[{UNCOUNTED}]+', '', 'g');
    -- Case folding turns Cherokee into capitals, but PostgreSQL's dictionaries use lower case.
    words := normalize(lower(casefold(words COLLATE pg_unicode_fast)), NFC);
    words := replace(replace(replace(words, 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th');
    RETURN translate(words, 'łøđðıħŧ·', 'loddiht ');
END $$;

CREATE FUNCTION join_numbers(written text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF written !~ '\d{GROUPING}\d\d\d' THEN
        RETURN written;
    END IF;
    RETURN regexp_replace(
        written,
        '\m(\d{{1,3}}){GROUPING}(\d\d\d)({GROUPING}(\d\d\d))?({GROUPING}(\d\d\d))?(?!\d)',
        '\1\2\4\6',
        'g'
    );
END $$;
"""

QUERY = r"""
-- The query of a search in web search syntax, with words folded like the indexed text. Words written together
-- are searched as a phrase.
CREATE FUNCTION search_query(asked text) RETURNS tsquery
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    words text;
    english tsquery;
BEGIN
    SELECT string_agg(
        CASE WHEN part[2] ~* '^or$' THEN part[2] ELSE part[1] || '"' || folded || '"' END, ' ' ORDER BY place
    )
    INTO words
    FROM regexp_matches(
            -- Typographic and CJK quotation marks.
            translate(
                join_numbers(asked),
                U&'\201C\201D\201E\201F\00AB\00BB\FF02\301D\301E\301F',
                repeat('"', 10)
            ),
            '(-?)("[^"]*"|[^\s"]+)',
            'g'
        ) WITH ORDINALITY AS parts (part, place)
        CROSS JOIN replace(fold_words(part[2]), '"', ' ') AS folded
    WHERE folded COLLATE pg_unicode_fast ~ '[[:alnum:]]';
    english := websearch_to_tsquery('pg_catalog.english', coalesce(words, ''));
    -- A query of English stop words alone would be empty.
    IF numnode(english) > 0 THEN
        RETURN english;
    END IF;
    RETURN websearch_to_tsquery('pg_catalog.simple', coalesce(words, ''));
END $$;
"""

# A dump is restored with an empty search_path; a function body in this form still finds the other functions.
PRODUCTS = r"""
CREATE OR REPLACE FUNCTION search_text(title text, sku text, brand text, category text, description text)
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
    -- Index the words in addition to their stems, because the English configuration ignores a brand named
    -- "It". A large number and a SKU match by their parts and as a whole.
    RETURN setweight(to_tsvector('pg_catalog.simple',
            fold_words(title || ' ' || sku) || ' '
            || regexp_replace(fold_words(sku), '[^0-9a-z\u0080-\U0010ffff]+', '', 'g')), 'A')
        || setweight(to_tsvector('pg_catalog.english', fold_words(join_numbers(title || ' ' || sku))), 'A')
        || setweight(to_tsvector('pg_catalog.simple', fold_words(concat_ws(' ', brand, category))), 'B')
        || setweight(to_tsvector('pg_catalog.english', fold_words(concat_ws(' ', brand, category))), 'B')
        || setweight(to_tsvector('pg_catalog.english', fold_words(join_numbers(description))), 'D');

-- The expression is the same, but this recomputes all rows.
ALTER TABLE products
    ALTER COLUMN search SET EXPRESSION AS (search_text(title, sku, brand, category, description));
"""

KNOWN_WORDS = """
-- The most frequent spelling in the catalogue.
ALTER TABLE search_words ADD COLUMN shown text;
INSERT INTO catalogue_changes SELECT FROM products LIMIT 1;
"""


def upgrade() -> None:
    """Add the functions, and recompute the columns derived from words."""
    op.execute(WORDS)
    op.execute(QUERY)
    op.execute(PRODUCTS)
    op.execute(KNOWN_WORDS)
