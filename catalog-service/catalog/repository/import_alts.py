"""SQL for the alt texts of imported images."""

from sqlalchemy import Boolean, ColumnElement, Connection, literal_column, text

from catalog.repository.images import FIND_ALT, HAS_ALTS, refresh_media

# Whether a row changes an alt text of its product, whose columns an update names `products`.
ALTS_DIFFER: ColumnElement[bool] = literal_column(
    f"""(
    (matched_products.image_alts <> '{{}}' OR matched_products.image_alts IS NOT NULL AND {HAS_ALTS})
    AND EXISTS (
        SELECT FROM unnest(coalesce(matched_products.images, products.images))
                WITH ORDINALITY AS named (url, place)
            LEFT JOIN LATERAL ({FIND_ALT}) AS known ON true
        WHERE coalesce(known.alt, '') <> coalesce(matched_products.image_alts[named.place], '')
    )
)""",
    Boolean,
)
# The images of an import are usually not stored. Two entries may be the same image, whose first text counts.
DESCRIBE = text(rf"""
    WITH described AS (
        SELECT DISTINCT ON (product_id, url) *
        FROM (
            SELECT products.id AS product_id, coalesce(known.url, named.url) AS url, known.alt AS current,
                coalesce(line.image_alts[named.place], '') AS alt, named.url AS shown, named.place
            FROM matched_products AS line
                JOIN products ON products.id = coalesce(line.product_id, line.added_id)
                CROSS JOIN unnest(products.images) WITH ORDINALITY AS named (url, place)
                LEFT JOIN LATERAL ({FIND_ALT}) AS known ON true
            WHERE line.image_alts <> '{{}}' OR line.image_alts IS NOT NULL AND {HAS_ALTS}
        ) AS entry
        ORDER BY product_id, url, place
    )
    INSERT INTO product_images (product_id, url, alt, hash)
    SELECT product_id, url, alt, file.hash
    FROM described
        LEFT JOIN image_files AS file
            ON file.hash = substring(shown FROM '^/images/([0-9a-f]{{32}})-1200\.webp$')
    WHERE alt <> coalesce(current, '')
    ORDER BY product_id, url
    ON CONFLICT (product_id, url) DO UPDATE SET alt = excluded.alt
    RETURNING product_id, hash
""")  # noqa: S608  # Of constants.


def set_alts(connection: Connection) -> None:
    """Set the alt texts of the rows, once their products are written."""
    written = connection.execute(DESCRIBE)
    refresh_media(connection, (row.product_id for row in written if row.hash is not None))
