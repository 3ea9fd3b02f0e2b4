"""Images that tests draw."""

import io
import struct
import zlib
from typing import Any

from PIL import Image


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the image as a file of this format."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def draw(
    kind: str = "PNG", size: tuple[int, int] = (60, 40), colour: str = "#4080c0", **options: Any
) -> bytes:
    """Return a file of one colour."""
    return encode(Image.new("RGB", size, colour), kind, **options)


def draw_noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """Return an image that compresses badly."""
    return Image.merge(mode, [Image.effect_noise(size, 60)] * len(mode))


def open_webp(data: bytes) -> Image.Image:
    """Return a WebP file as an image."""
    image = Image.open(io.BytesIO(data), formats=["WEBP"])
    image.load()
    return image


def is_close(pixel: Any, wanted: tuple[int, ...], by: int = 12) -> bool:
    """Return whether two colours look the same."""
    return all(abs(one - other) <= by for one, other in zip(pixel, wanted, strict=True))


def make_bomb(width: int, height: int) -> bytes:
    """Return a small PNG of one bit per pixel that claims this size, and has all of its rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    row = bytes(1 + (width + 7) // 8)
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
