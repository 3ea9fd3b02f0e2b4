"""The words of the catalogue, and which of them a misspelt one may have meant."""

from sqlalchemy import Connection, text

MOST_WORDS = 50_000  # The most frequent ones.

LEARN = text("""
    MERGE INTO search_words AS known
    USING (
        SELECT word, count(*) AS products
        FROM products, unnest(to_tsvector('simple', concat_ws(' ', title, brand, category))) AS words (word)
        WHERE removed_at IS NULL AND word !~ '[^[:alpha:]]' AND length(word) BETWEEN 3 AND 30
        GROUP BY word ORDER BY count(*) DESC, word LIMIT :most
    ) AS counted ON known.word = counted.word
    WHEN MATCHED AND known.products <> counted.products THEN UPDATE SET products = counted.products
    WHEN NOT MATCHED THEN INSERT (word, products) VALUES (counted.word, counted.products)
    WHEN NOT MATCHED BY SOURCE THEN DELETE
""")

# A slip rarely spoils both ends of a word, so only words that begin or end alike are compared: that is what
# the index finds. The share of trigrams in common is pg_trgm's measure, and so is the 0.3.
CORRECT = text("""
    SELECT asked.word AS asked, near.word AS known
    FROM unnest(CAST(:words AS text[])) AS asked (word)
        CROSS JOIN LATERAL tsvector_to_array(to_tsvector('english', asked.word)) AS stems
        CROSS JOIN LATERAL word_trigrams(asked.word) AS pieces
        CROSS JOIN LATERAL (
            SELECT known.word
            FROM search_words AS known
                CROSS JOIN LATERAL (
                    SELECT count(*)::float AS shared
                    FROM unnest(known.trigrams) AS piece WHERE piece = ANY (pieces)
                ) AS counted
            WHERE (
                    known.trigrams @> ARRAY['  ' || left(asked.word, 1), ' ' || left(asked.word, 2)]
                    OR known.trigrams @> ARRAY[right(asked.word, 3), right(asked.word, 2) || ' ']
                )
                AND length(known.word) BETWEEN length(asked.word) - 3 AND length(asked.word) + 3
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
    """Return the most similar known word for each that is not known, if there is one; all in lower case."""
    return {row.asked: row.known for row in connection.execute(CORRECT, {"words": words})}
