"""The words of the catalogue, and which of them a misspelt one may have meant."""

from sqlalchemy import Connection, text

MOST_WORDS = 50_000  # The most frequent ones.

# Words are compared as they are folded, and shown as most products write them.
LEARN = text("""
    MERGE INTO search_words AS known
    USING (
        SELECT word, sum(products) AS products,
            normalize((array_agg(written ORDER BY products DESC, written))[1]) AS shown
        FROM (
            SELECT written, count(*) AS products
            FROM products, unnest(
                to_tsvector('simple', split_words(concat_ws(' ', title, brand, category)))
            ) AS words (written)
            WHERE removed_at IS NULL AND written !~ '[0-9]'
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

# A slip rarely spoils both ends of a word, so only words that begin or end alike are compared: that is what
# the index finds. The share of trigrams in common is pg_trgm's measure, and so is the 0.3.
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
    """Note the words that titles, brands and categories have now, and no others."""
    connection.execute(LEARN, {"most": MOST_WORDS})


def correct_words(connection: Connection, words: list[str]) -> dict[str, str]:
    """Return the most similar known word, in lower case, for each that is not known, if there is one."""
    return {row.asked: row.known for row in connection.execute(CORRECT, {"words": words})}
