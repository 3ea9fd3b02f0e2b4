"""The stored images of products: their URLs, and their order in `images`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SMALL, LARGE = SIZES = (480, 1200)  # Pixels; both sides of a rendition fit.
MOST_IMAGES = 50  # Of one product.


@dataclass(frozen=True)
class ImageFile:
    """A stored file, with the hash of the upload, the size of the large WebP and the average colour."""

    hash: str
    width: int
    height: int
    colour: str
    small: bytes
    large: bytes


@dataclass(frozen=True)
class StoredImage:
    """An image of a product at a position in its `images`, where it is called `url`."""

    id: int
    url: str
    hash: str
    alt: str
    width: int
    height: int
    colour: str
    position: int

    @property
    def urls(self) -> dict[str, str]:
        """Return the URL of each rendition by its size."""
        return {str(size): to_url(self.hash, size) for size in SIZES}


def to_url(digest: str, size: int = LARGE) -> str:
    """Return the URL of a file's rendition, relative to the shop."""
    return f"/images/{digest}-{size}.webp"


def find_media(images: Sequence[str], media: Mapping[str, Any] | None) -> list[StoredImage]:
    """Return the stored images in the order of `images`; `media` has their details by URL."""
    if not media:
        return []
    # An image of the source also has the URL of its file, which an admin may have copied from a response.
    entries = {to_url(entry["hash"]): entry for entry in media.values()} | dict(media)
    found: dict[int, StoredImage] = {}
    for position, url in enumerate(images):
        if url in entries:
            entry = entries[url]
            found.setdefault(entry["id"], StoredImage(**entry, url=url, position=position))
    return list(found.values())


def trim_alts(alts: Iterable[str | None]) -> list[str]:
    """Return alt texts in the order of the images, without the empty ones at the end."""
    found = [alt or "" for alt in alts]
    while found and not found[-1]:
        found.pop()
    return found


def show_urls(images: Sequence[str], media: Mapping[str, Any] | None) -> list[str]:
    """Return the URLs of all images, with those of the stored files in place of the source's."""
    stored = media or {}
    return [to_url(stored[url]["hash"]) if url in stored else url for url in images]
