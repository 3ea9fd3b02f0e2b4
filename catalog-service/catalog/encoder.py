"""Encode images in a process of its own, one at a time."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from catalog.errors import ImageRefused, UploadsBusy
from catalog.media import ImageFile

DECODER = Path(__file__).with_name("image_decoder.py")
COLOUR = re.compile("#[0-9a-f]{6}")
WEBP = re.compile(rb"RIFF....WEBP", re.DOTALL)
MOST_WAITING = 4  # Uploads; each occupies one of the server's 16 threads.
PATIENCE = 25.0  # Seconds that an upload waits for its turn; the gateway waits a minute for an answer.
TIMEOUT = 30.0  # Seconds for one image.


class Encoder:
    """Decodes an image and encodes its renditions; a turn bounds the memory that uploads take."""

    def __init__(self, *, most_waiting: int = MOST_WAITING, patience: float = PATIENCE) -> None:
        self._places = threading.BoundedSemaphore(1 + most_waiting)
        self._turn = threading.Lock()
        self._patience = patience

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn to read and encode one image; raise UploadsBusy if too many wait, or too long."""
        if not self._places.acquire(blocking=False):
            raise UploadsBusy
        try:
            if not self._turn.acquire(timeout=self._patience):
                raise UploadsBusy
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()

    def encode(self, data: bytes) -> ImageFile:
        """Return the renditions of an image; raise ImageRefused."""
        try:
            # The environment is empty, so that a file that takes the process over finds no secret there.
            done = subprocess.run(  # The program is our own.
                [sys.executable, "-I", str(DECODER)],
                input=data,
                capture_output=True,
                timeout=TIMEOUT,
                env={},
                check=True,
            )
        except subprocess.SubprocessError as error:
            # It took too long, or the kernel ended it at one of its limits.
            raise ImageRefused("The image takes too much memory or time to decode.") from error
        line, _, renditions = done.stdout.partition(b"\n")
        try:
            return _read_output(hash_image(data), json.loads(line), renditions)
        except (ValueError, TypeError, LookupError) as error:
            raise ImageRefused("The image is damaged.") from error


def _read_output(digest: str, described: dict[str, Any], renditions: bytes) -> ImageFile:
    """Return the file; raise ImageRefused, or ValueError if a hostile file wrote this."""
    if "refused" in described:
        raise ImageRefused(str(described["refused"]))
    length = int(described["lengths"][0])
    small, large = renditions[:length], renditions[length:]
    if not COLOUR.fullmatch(described["colour"]) or not all(map(WEBP.match, (small, large))):
        raise ValueError(described)
    return ImageFile(
        digest, int(described["width"]), int(described["height"]), described["colour"], small, large
    )


def hash_image(data: bytes) -> str:
    """Return the hash that names the file of this upload."""
    return blake2b(data, digest_size=16).hexdigest()
