"""SQL for the words of the catalogue and the correction of typos."""

from sqlalchemy import Connection, text

MAX_WORDS = 50_000  # Known words; the most frequent ones are kept.

# Words are compared in their folded form and shown in the form that most products use.
LEARN = text("""
    MERGE INTO search_words AS known
    USING (
        SELECT word, sum(products) AS products,
            normalize((array_agg(written ORDER BY products DESC, written))[1]) AS shown
        FROM (
            SELECT written, count(*) AS products
            FROM (
                SELECT concat_ws(' ', title, brand, category) FROM products WHERE removed_at IS NULL
                UNION ALL SELECT path FROM category_keys WHERE key <> path
                UNION ALL SELECT title FROM categories WHERE title IS NOT NULL
            ) AS names (name), unnest(to_tsvector('simple', split_words(name))) AS words (written)
            WHERE written !~ '[0-9]'
            GROUP BY written
        ) AS seen
            CROSS JOIN LATERAL fold_words(written) AS word
        WHERE word !~ '[^[:alpha:]]' AND length(word) BETWEEN 3 AND 30
        GROUP BY word ORDER BY products DESC, word LIMIT :most
    ) AS counted ON known.word = counted.word
    WHEN MATCHED AND (known.products, known.shown) IS DISTINCT FROM (counted.products, counted.shown)
        THEN UPDATE SET products = counted.products, shown = counted.shown
    WHEN NOT MATCHED THEN INSERT (word, products, shown)
        VALUES (counted.word, counted.products, counted.shown)
    WHEN NOT MATCHED BY SOURCE THEN DELETE
""")

# A typo rarely affects both ends of a word, so only words with the same beginning or ending are compared; the
# index finds those. The similarity is the share of common trigrams with the threshold 0.3, as in pg_trgm.
CORRECT = text("""
    SELECT asked.written AS asked, near.shown AS known
    FROM unnest(CAST(:words AS text[])) AS asked (written)
        CROSS JOIN LATERAL fold_words(asked.written) AS folded (word)
        CROSS JOIN LATERAL tsvector_to_array(to_tsvector('english', folded.word)) AS stems
        CROSS JOIN LATERAL word_trigrams(folded.word) AS pieces
        CROSS JOIN LATERAL (
            SELECT coalesce(known.shown, known.word) AS shown
            FROM search_words AS known
                CROSS JOIN LATERAL (
                    SELECT count(*)::float AS shared
                    FROM unnest(known.trigrams) AS piece WHERE piece = ANY (pieces)
                ) AS counted
            WHERE (
                    known.trigrams @> ARRAY['  ' || left(folded.word, 1), ' ' || left(folded.word, 2)]
                    OR known.trigrams @> ARRAY[right(folded.word, 3), right(folded.word, 2) || ' ']
                )
                AND length(known.word) BETWEEN length(folded.word) - 3 AND length(folded.word) + 3
                AND shared / (cardinality(known.trigrams) + cardinality(pieces) - shared) >= 0.3
            ORDER BY shared / (cardinality(known.trigrams) + cardinality(pieces) - shared) DESC,
                known.products DESC, known.word
            LIMIT 1
        ) AS near
    WHERE stems <> '{}' AND NOT EXISTS (SELECT FROM search_words WHERE stem = stems[1])
""")


def learn_words(connection: Connection) -> None:
    """Replace the known words by those of the titles, the brands, and the categories with their names."""
    connection.execute(LEARN, {"most": MAX_WORDS})


def correct_words(connection: Connection, words: list[str]) -> dict[str, str]:
    """Return the most similar known word, in lower case, for each unknown word that has one."""
    return {row.asked: row.known for row in connection.execute(CORRECT, {"words": words})}
