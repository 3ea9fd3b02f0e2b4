"""Words as people see them: without the signs around and between them, and without accents."""

from alembic import op

revision = "0005"
down_revision = "0004"

# What stands inside a word and does not count: accents, vowel points, a soft hyphen, invisible characters.
UNCOUNTED = (
    r"\u00ad\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640"
    r"\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff"
    # What joins or dots the letters of India's scripts.
    r"\u093c\u094d\u09bc\u09cd\u0a3c\u0a4d\u0abc\u0acd\u0b3c\u0b4d\u0bcd\u0c4d\u0cbc\u0ccd\u0d4d\u0dca\U000110ba"
    r"\u1dc0-\u1dff\u200c-\u200f\u202a-\u202e\u2060-\u206f\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\ufeff"
)
# Marks that are no letters to PostgreSQL and that do count: of Thai, Lao, Burmese, Khmer and Japanese.
COUNTED = r"\u0e47-\u0e4e\u0ec8-\u0ece\u1037\u1039\u103a\u17c9-\u17d3\u3099\u309a"
# PostgreSQL's parser takes every character beyond ASCII for a letter, and would see file names, hosts and
# signs. It parts words at the rest of ASCII by itself, and a match costs more than a character. The ranges
# at the end are apostrophes, and letters in circles and squares, which are letters to PostgreSQL.
SEPARATOR = (
    rf"([^[:alnum:]\u0001-\u007f{UNCOUNTED}{COUNTED}]"
    r"|[-.:/@&<_+~\u02b9-\u02bf\u24b6-\u24e9\U0001f130-\U0001f189])+"
)
# Between the thousands of a number.
GROUPING = r"[.,''\u2019\u00a0\u2009\u202f]"

WORDS = rf"""
CREATE FUNCTION split_words(written text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN regexp_replace(written COLLATE pg_unicode_fast, '{SEPARATOR}', ' ', 'g');

-- Compatibility forms come after the splitting: before it a trademark sign would become the letters TM.
CREATE FUNCTION fold_words(written text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    words text := regexp_replace(written COLLATE pg_unicode_fast, '{SEPARATOR}', ' ', 'g');
BEGIN
    IF octet_length(words) = length(words) THEN
        RETURN lower(words);
    END IF;
    words := regexp_replace(normalize(words, NFKD), '[{UNCOUNTED}]+', '', 'g');
    -- Cherokee is folded to capitals, which a dictionary of PostgreSQL would still make small.
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
-- What is asked for, in the syntax of web searches, as words are folded in what is searched. What is written
-- together is looked for together.
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
            -- Typographic quotation marks, and those that CJK fonts have.
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
    -- Of words that English passes over nothing would be left.
    IF numnode(english) > 0 THEN
        RETURN english;
    END IF;
    RETURN websearch_to_tsquery('pg_catalog.simple', coalesce(words, ''));
END $$;
"""

# A dump is restored with an empty search_path; a body of this form finds the functions nevertheless.
PRODUCTS = r"""
CREATE OR REPLACE FUNCTION search_text(title text, sku text, brand text, category text, description text)
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
    -- Beside the stems the words as they are, for English passes over a brand called "It". A large number is
    -- found by its parts and as one; so is a SKU.
    RETURN setweight(to_tsvector('pg_catalog.simple',
            fold_words(title || ' ' || sku) || ' '
            || regexp_replace(fold_words(sku), '[^0-9a-z\u0080-\U0010ffff]+', '', 'g')), 'A')
        || setweight(to_tsvector('pg_catalog.english', fold_words(join_numbers(title || ' ' || sku))), 'A')
        || setweight(to_tsvector('pg_catalog.simple', fold_words(concat_ws(' ', brand, category))), 'B')
        || setweight(to_tsvector('pg_catalog.english', fold_words(concat_ws(' ', brand, category))), 'B')
        || setweight(to_tsvector('pg_catalog.english', fold_words(join_numbers(description))), 'D');

-- The expression is the same, and all rows are computed anew.
ALTER TABLE products
    ALTER COLUMN search SET EXPRESSION AS (search_text(title, sku, brand, category, description));
"""

KNOWN_WORDS = """
-- How the catalogue mostly writes the word.
ALTER TABLE search_words ADD COLUMN shown text;
INSERT INTO catalogue_changes SELECT FROM products LIMIT 1;
"""


def upgrade() -> None:
    """Add the functions, and compute anew what is derived from words."""
    op.execute(WORDS)
    op.execute(QUERY)
    op.execute(PRODUCTS)
    op.execute(KNOWN_WORDS)
