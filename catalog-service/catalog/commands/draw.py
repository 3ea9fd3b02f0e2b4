"""Draw the images of the sample as WebP files, unless they are there: `python -m catalog.commands.draw`."""

import os
import re
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from hashlib import blake2s
from pathlib import Path

import PIL

from catalog import images, outlines, rasters
from catalog.sources import SAMPLE

DRAWN = re.compile(r"/images/([a-z0-9-]+)-1200\.webp")
STAMP = "drawn"  # The file with the hash of what the images were drawn from.


def main() -> int:
    """Draw the images into the folder from which the service serves them."""
    draw_all(images.FILES)
    return 0


def draw_all(folder: Path) -> int:
    """Draw the images that the sample names; return their number, or 0 if nothing has changed since."""
    folder.mkdir(exist_ok=True)
    stamp, wanted = folder / STAMP, _hash_drawings()
    if stamp.is_file() and stamp.read_text() == wanted:
        return 0
    names = _list_names()
    with ProcessPoolExecutor() as pool:
        for name, files in zip(names, pool.map(draw, names, chunksize=8), strict=True):
            for size, content in files.items():
                _write(folder / f"{name}-{size}.webp", content)
    # Only now, so that an interrupted run is repeated.
    _write(stamp, wanted.encode())
    return len(names)


def draw(name: str) -> dict[int, bytes]:
    """Return the WebP files of an image by size."""
    drawing = images.find_drawing(name)
    if drawing is None:
        raise ValueError(f"There is no drawing {name}.")
    return rasters.draw_files(drawing)


def _list_names() -> list[str]:
    """Return the names of the images that the sample has as WebP; its other images are SVG."""
    return sorted(set(DRAWN.findall(SAMPLE.read_text(encoding="utf-8"))))


def _hash_drawings() -> str:
    """Return a hash of everything that the files depend on."""
    hashed = blake2s(PIL.__version__.encode())
    modules = [Path(str(module.__file__)) for module in (images, outlines, rasters)]
    for path in (SAMPLE, images.DRAWINGS, *modules):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Write a file at once, because another process may draw the same images or read them."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(name).chmod(0o644)
    Path(name).replace(path)


if __name__ == "__main__":
    sys.exit(main())
