"""SQL that finds the categories whose current names have words of a search.

A product's `search` has the words of its category's key, which a move does not change.
"""

import re

from sqlalchemy import Connection, or_, select, text

from catalog.domain import NamedCategories
from catalog.tables import IS_MOVED, categories, category_keys

MAX_NAMED = 8  # Sets of words that categories have; those with the most words first.
# A word or a phrase without its minus, as `search_query` separates them.
TERM = re.compile(r'-*("[^"]*"|[^\s"]+)')

MAX_KEYS = 8  # Categories whose keys a query has in full; of more, it has their first words.

HAS_NAMES = or_(
    select(category_keys.c.key).where(IS_MOVED).exists(),
    select(categories.c.path).where(categories.c.title.is_not(None)).exists(),
)
# A term in the names of a category is true of each of its products. All of them have the words of the
# category's key, so these become an alternative to the term. A first word alone may be frequent, such as
# `home` in `home/kitchen`.
FIND_NAMED = text("""
    WITH terms AS MATERIALIZED (
        SELECT term, search_query(term) AS query FROM unnest(CAST(:terms AS text[])) AS term
    ), named AS (
        SELECT key, key_words, term, query FROM terms JOIN category_keys ON path_words @@ query
        UNION
        SELECT key, key_words, term, query FROM terms
            JOIN categories ON title_words @@ query
            -- '0' is the character after '/'.
            JOIN category_keys AS keys ON keys.path = categories.path
                OR (keys.path > categories.path || '/' AND keys.path < categories.path || '0')
    ), each_key AS (
        SELECT key, array_agg(term ORDER BY term) AS terms, array_agg(query ORDER BY term) AS queries,
            plainto_tsquery('simple', fold_words(key)) AS whole,
            plainto_tsquery(
                'simple', (SELECT lexeme FROM unnest(key_words) ORDER BY positions LIMIT 1)
            ) AS first
        FROM named WHERE NOT key_words @@ query
        GROUP BY key, key_words
    ), each_set AS (
        SELECT terms, queries, array_agg(key ORDER BY key) AS keys,
            string_agg(DISTINCT '(' || CAST(first AS text) || ')', '|') AS firsts,
            string_agg('(' || CAST(whole AS text) || ')', '|') AS wholes
        FROM each_key WHERE first IS NOT NULL
        GROUP BY terms, queries
        ORDER BY cardinality(terms) DESC, terms LIMIT :most
    )
    SELECT keys, array_to_string(terms, ' ') AS words, CAST(ts_rewrite(
        search_query(:words) || search_query(:corrected),
        -- Phrases first, before their words are replaced.
        format(
            'SELECT term, term || %L::tsquery FROM unnest(%L::tsquery[]) AS term ORDER BY numnode(term) DESC',
            CASE WHEN cardinality(keys) > :most_keys THEN firsts ELSE wholes END, queries
        )
    ) AS text) AS query
    FROM each_set
""")


def find_named(connection: Connection, words: str, corrected: str | None) -> tuple[NamedCategories, ...]:
    """Return the categories whose path or titles have words of a search that their keys lack."""
    terms = {term for each in (words, corrected or "") for term in TERM.findall(each)}
    values = {"terms": sorted(terms), "words": words, "corrected": corrected or ""}
    rows = connection.execute(FIND_NAMED, {**values, "most": MAX_NAMED, "most_keys": MAX_KEYS})
    return tuple(NamedCategories(tuple(row.keys), row.words, row.query) for row in rows)
