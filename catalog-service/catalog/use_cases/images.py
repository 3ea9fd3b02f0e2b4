"""Use cases for the images of products."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

from catalog.domain import MAX_ID, ManagedProduct
from catalog.encoder import Encoder, hash_image
from catalog.errors import ImageNotFound, ProductNotFound, TooManyImages
from catalog.media import MOST_IMAGES, SIZES, StoredImage, find_media, to_url
from catalog.repository import admin
from catalog.repository import images as repository
from shared.database import Connection, Database

log = logging.getLogger(__name__)

HASH = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Upload:
    """A file and its alt text, which may be empty."""

    data: bytes
    alt: str


def read_rendition(database: Database, digest: str, size: int) -> bytes:
    """Return the WebP of a stored file; raise ImageNotFound."""
    if not HASH.fullmatch(digest) or size not in SIZES:
        raise ImageNotFound
    with database.autocommit() as connection:
        found = repository.read_rendition(connection, digest, size)
    if found is None:
        raise ImageNotFound
    return found


def add_image(
    database: Database, encoder: Encoder, product_id: int, read: Callable[[], Upload]
) -> tuple[StoredImage, bool]:
    """Store an upload as the last image of a product; return it, and whether the product did not have it yet.

    `read` is called once it is this upload's turn. The same file is stored once. Raises ProductNotFound,
    TooManyImages, ImageRefused, UploadsBusy, or what `read` raises.
    """
    with database.transaction() as connection:
        _require(connection, product_id)
    with encoder.turn():
        upload = read()
        digest = hash_image(upload.data)
        with database.transaction() as connection:
            is_stored = repository.touch_file(connection, digest)
        file = None if is_stored else encoder.encode(upload.data)
    with database.transaction() as connection:
        managed = _require(connection, product_id, lock=True)
        if file is not None:
            repository.store_file(connection, file)
        images, url = managed.product.images, to_url(digest)
        is_new = url not in images
        if is_new:
            if len(images) >= MOST_IMAGES:
                raise TooManyImages
            admin.update_product(connection, product_id, {"images": [*images, url]})
        repository.add_image(connection, product_id, url, digest, upload.alt)
        repository.refresh_media(connection, [product_id])
        added = next(each for each in _read(connection, product_id) if each.url == url)
    log.info("An image was added", extra={"product.id": product_id, "image.id": added.id})
    return added, is_new


def change_image(
    database: Database, product_id: int, image_id: int, *, alt: str | None = None, position: int | None = None
) -> StoredImage:
    """Set the alt text of an image, or move it to another position in `images`; None changes nothing.

    A position past the end is the end. Raises ProductNotFound or ImageNotFound.
    """
    with database.transaction() as connection:
        managed = _require(connection, product_id, lock=True)
        image = _find(managed, image_id)
        if alt is not None:
            repository.set_alt(connection, image_id, alt)
            repository.refresh_media(connection, [product_id])
        if position is not None:
            others = [url for url in managed.product.images if url != image.url]
            moved = [*others[:position], image.url, *others[position:]]
            if moved != managed.product.images:
                admin.update_product(connection, product_id, {"images": moved})
        changed = next(each for each in _read(connection, product_id) if each.id == image_id)
    log.info("An image was changed", extra={"product.id": product_id, "image.id": image_id})
    return changed


def remove_image(database: Database, product_id: int, image_id: int) -> None:
    """Remove an image from a product; raise ProductNotFound or ImageNotFound."""
    with database.transaction() as connection:
        managed = _require(connection, product_id, lock=True)
        image = _find(managed, image_id)
        named = {image.url, to_url(image.hash)}
        kept = [url for url in managed.product.images if url not in named]
        admin.update_product(connection, product_id, {"images": kept})
        repository.remove_image(connection, image_id)
        repository.refresh_media(connection, [product_id])
    log.info("An image was removed", extra={"product.id": product_id, "image.id": image_id})


def sweep_images(database: Database) -> int | None:
    """Delete the files that no product has used for a day; return their number, or None if a replica does."""
    with database.transaction() as connection:
        return repository.sweep_images(connection)


def _require(connection: Connection, product_id: int, *, lock: bool = False) -> ManagedProduct:
    # A path can contain any number, but the column cannot.
    found = admin.find_managed(connection, product_id, lock=lock) if product_id <= MAX_ID else None
    if found is None:
        raise ProductNotFound
    return found


def _read(connection: Connection, product_id: int) -> list[StoredImage]:
    product = _require(connection, product_id).product
    return find_media(product.images, product.media)


def _find(managed: ManagedProduct, image_id: int) -> StoredImage:
    for image in find_media(managed.product.images, managed.product.media):
        if image.id == image_id:
            return image
    raise ImageNotFound
