"""SQL for images: the files, the images of products, and the details of them in `products.media`."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    delete,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from catalog.media import SMALL, ImageFile
from catalog.repository.stock import lock_rows
from catalog.tables import image_files, product_images

REFRESH = text("""
UPDATE products SET media = coalesce((
    SELECT jsonb_object_agg(url, jsonb_build_object(
        'id', id, 'hash', hash, 'alt', alt, 'width', width, 'height', height, 'colour', colour))
    FROM product_images JOIN image_files USING (hash) WHERE product_id = products.id
), '{}')
WHERE id = ANY (:ids)
""")

# The alt text that a row of `products` has for the entry `named.url` of its `images`. An image of the source
# also has the URL of its file.
FIND_ALT = """
    SELECT image.url, image.alt FROM product_images AS image
    WHERE image.product_id = products.id
        AND (image.url = named.url OR '/images/' || image.hash || '-1200.webp' = named.url)
    ORDER BY image.url = named.url DESC LIMIT 1
"""
# Most products have no alt text, and need no look at each image.
HAS_ALTS = "EXISTS (SELECT FROM product_images WHERE product_id = products.id AND alt <> '')"
ALTS: ColumnElement[Any] = literal_column(
    f"""CASE WHEN {HAS_ALTS} THEN ARRAY(
    SELECT coalesce(known.alt, '')
    FROM unnest(products.images) WITH ORDINALITY AS named (url, place)
        LEFT JOIN LATERAL ({FIND_ALT}) AS known ON true
    ORDER BY named.place
) ELSE '{{}}' END""",  # noqa: S608  # Of constants.
    ARRAY(Text),
)

# A file stays for a day after its last use, because pages in caches still name it.
DROP_IMAGES = text("""
DELETE FROM product_images AS image USING products AS product
WHERE product.id = image.product_id AND image.created_at < now() - interval '1 day'
    AND (product.removed_at IS NOT NULL
        OR NOT ARRAY[image.url, '/images/' || image.hash || '-1200.webp'] && product.images)
RETURNING image.product_id, image.hash
""")
DROP_FILES = text("""
WITH named AS (
    SELECT substring(url FROM '^/images/([0-9a-f]{32})-') AS hash
    FROM products, unnest(images) AS url
    WHERE removed_at IS NULL AND url LIKE '/images/%.webp'
)
DELETE FROM image_files AS file
WHERE used_at < now() - interval '1 day'
    AND NOT EXISTS (SELECT FROM product_images WHERE product_images.hash = file.hash)
    AND NOT EXISTS (SELECT FROM named WHERE named.hash = file.hash)
""")


def touch_file(connection: Connection, digest: str) -> bool:
    """Keep the file for another day; return whether it is stored."""
    touched = update(image_files).where(image_files.c.hash == digest).values(used_at=func.now())
    return connection.execute(touched).rowcount == 1


def store_file(connection: Connection, file: ImageFile) -> None:
    """Store a file, unless it is stored already."""
    statement = insert(image_files).values(vars(file))
    # The update also makes a concurrent sweep look at the row again.
    connection.execute(statement.on_conflict_do_update(index_elements=["hash"], set_={"used_at": func.now()}))


def read_rendition(connection: Connection, digest: str, size: int) -> bytes | None:
    """Return the WebP of a file in one of its sizes, or None."""
    column = image_files.c.small if size == SMALL else image_files.c.large
    found: bytes | None = connection.execute(select(column).where(image_files.c.hash == digest)).scalar()
    return found


def has_image(connection: Connection, product_id: int, image_id: int) -> bool:
    """Return whether a product has this image."""
    mine = select(product_images.c.id).where(
        product_images.c.id == image_id, product_images.c.product_id == product_id
    )
    return connection.execute(mine).first() is not None


def add_image(connection: Connection, product_id: int, url: str, digest: str, alt: str) -> None:
    """Add a file to the images of a product; an alt text replaces one that the image has already."""
    statement = insert(product_images).values(product_id=product_id, url=url, hash=digest, alt=alt)
    # An import may have described the image before its file was stored.
    changes = {"hash": digest, **({"alt": alt} if alt else {})}
    connection.execute(statement.on_conflict_do_update(index_elements=["product_id", "url"], set_=changes))


def set_alt(connection: Connection, image_id: int, alt: str) -> None:
    """Set the alt text of an image."""
    connection.execute(update(product_images).where(product_images.c.id == image_id).values(alt=alt))


def remove_image(connection: Connection, image_id: int) -> None:
    """Remove an image from its product; its file stays for a day at least."""
    removed = delete(product_images).where(product_images.c.id == image_id).returning(product_images.c.hash)
    touch_file(connection, connection.execute(removed).scalar_one())


def refresh_media(connection: Connection, product_ids: Iterable[int]) -> None:
    """Update `media` of these products."""
    ids = sorted(set(product_ids))
    if ids:
        lock_rows(connection, ids)
        connection.execute(REFRESH, {"ids": ids})


def sweep_images(connection: Connection) -> int | None:
    """Delete images that their product no longer names, and unused files; return the number of these.

    None means that another replica is sweeping.
    """
    if not connection.execute(text("SELECT pg_try_advisory_xact_lock(5714006)")).scalar():
        return None
    # The role's statement_timeout is meant for requests.
    connection.execute(text("SET LOCAL statement_timeout = '10min'"))
    dropped = connection.execute(DROP_IMAGES).all()
    for digest in {row.hash for row in dropped if row.hash is not None}:
        touch_file(connection, digest)
    refresh_media(connection, (row.product_id for row in dropped))
    return connection.execute(DROP_FILES).rowcount
