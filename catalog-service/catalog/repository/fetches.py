"""SQL for the images of the product source and of imports that are still to be fetched."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, text, update

from catalog.domain import FIRST_LOCAL_ID
from catalog.repository.images import refresh_media
from catalog.repository.stock import lock_rows
from catalog.tables import product_images, source_copy

# A URL that several products name is fetched once. An import may have described an image before; its row then
# has neither a file, nor the reason of a refusal, nor a time.
NOTE = """
INSERT INTO product_images (product_id, url, hash, detail, due_at)
SELECT product.id, named.url, known.hash, known.detail, CASE WHEN known.url IS NULL THEN now() END
FROM products AS product
CROSS JOIN LATERAL (SELECT DISTINCT url FROM unnest(images) AS url) AS named
LEFT JOIN LATERAL (
    SELECT url, hash, detail FROM product_images AS image
    WHERE image.url = named.url AND (hash IS NOT NULL OR detail IS NOT NULL AND due_at IS NULL) LIMIT 1
) AS known ON true
WHERE removed_at IS NULL AND {only} AND named.url ~ '^https?://'
ON CONFLICT (product_id, url) DO UPDATE
    SET hash = excluded.hash, detail = excluded.detail, due_at = excluded.due_at
    WHERE product_images.hash IS NULL AND product_images.detail IS NULL AND product_images.due_at IS NULL
RETURNING product_id, hash
"""
OF_SOURCE = text(NOTE.replace("{only}", "product.id < :first_local AND NOT 'images' = ANY (edited)"))
OF_IMPORT = text(
    NOTE.replace(
        "{only}",
        "product.id IN (SELECT coalesce(line.product_id, line.added_id) FROM matched_products AS line)",
    )
)


@dataclass(frozen=True)
class Fetch:
    """An image to fetch, for the `attempts`-th time."""

    url: str
    attempts: int


def read_copied_at(connection: Connection) -> datetime | None:
    """Return when the source was last copied, or None."""
    found: datetime | None = connection.execute(select(source_copy.c.copied_at)).scalar_one()
    return found


def note_images(connection: Connection) -> list[int]:
    """Note the source's new images; return the products that name an image that is stored already."""
    connection.execute(text("SET LOCAL statement_timeout = '10min'"))
    noted = connection.execute(OF_SOURCE, {"first_local": FIRST_LOCAL_ID})
    return [row.product_id for row in noted if row.hash is not None]


def note_imported_images(connection: Connection) -> None:
    """Note the new images of the imported products."""
    noted = connection.execute(OF_IMPORT)
    refresh_media(connection, [row.product_id for row in noted if row.hash is not None])


def claim_fetch(connection: Connection, lease_seconds: int) -> Fetch | None:
    """Claim the image that has been due the longest; the claim expires."""
    due = select(product_images.c.id).where(product_images.c.due_at <= func.now())
    first = due.order_by(product_images.c.due_at).limit(1).with_for_update(skip_locked=True)
    claimed = connection.execute(
        update(product_images)
        .where(product_images.c.id == first.scalar_subquery())
        .values(due_at=_in(lease_seconds), attempts=product_images.c.attempts + 1)
        .returning(product_images.c.url, product_images.c.attempts)
    ).first()
    return Fetch(claimed.url, claimed.attempts) if claimed else None


def record_fetch(connection: Connection, url: str, digest: str) -> list[int]:
    """Record that the file of a URL is stored; return the products that name the URL."""
    named = select(product_images.c.product_id).where(product_images.c.url == url)
    # Other transactions lock a product before its images, too.
    lock_rows(connection, connection.execute(named).scalars())
    fetched = (
        update(product_images)
        .where(product_images.c.url == url)
        .values(hash=digest, due_at=None, detail=None)
        .returning(product_images.c.product_id)
    )
    return list(connection.execute(fetched).scalars())


def record_failure(connection: Connection, url: str, detail: str, wait_seconds: float | None) -> None:
    """Record why a URL could not be fetched, and try again after some seconds, or never."""
    connection.execute(
        update(product_images)
        .where(product_images.c.url == url, product_images.c.hash.is_(None))
        .values(detail=detail, due_at=None if wait_seconds is None else _in(wait_seconds))
    )


def _in(seconds: float) -> object:
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
