"""The program that decodes one image: `python -I image_decoder.py < image`, run by `catalog.encoder`.

It is a process of its own with a memory limit, so that a hostile file harms no request. It imports nothing of
the service. The output is a line of JSON, {"width", "height", "colour", "lengths"} or {"refused": "why"}, and
the two renditions as WebP, the small one first.
"""

import io
import json
import math
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

SIZES = (480, 1200)  # Pixels; both sides of a rendition fit.
MEGAPIXEL = 1024 * 1024
# Megapixels. A JPEG is scaled down while it is decoded. The decoder of WebP needs four copies of an image.
MOST = {"PNG": 16, "GIF": 16, "WEBP": 5, "JPEG": 50, "MPO": 50}
MEMORY = 128 * 1024 * 1024  # Bytes.
MOST_COEFFICIENTS = 36 * MEGAPIXEL  # Of a progressive JPEG, whose decoder holds them all, in two bytes each.
CPU_SECONDS = 20
QUALITY = 80
BAND = 32  # Rows of a rendition that are computed at a time.
SUPPORT = 3  # The radius of the Lanczos filter, in pixels of the smaller image.
ORIENTATION = 0x0112


class Refused(Exception):
    """The file is not an image that the shop accepts."""


def limit_process() -> None:
    """Limit memory and time; if the container runs out of memory, the kernel shall end this process first."""
    for limit, value in (
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    os.nice(5)


def open_image(data: bytes) -> Image.Image:
    """Return the image with only its header read; raise Refused if it has too many pixels."""
    # Pillow refuses twice as many. The limits of most formats are lower.
    Image.MAX_IMAGE_PIXELS = max(MOST.values()) * MEGAPIXEL // 2
    try:
        image = Image.open(io.BytesIO(data), formats=[name for name in MOST if name != "MPO"])
    except UnidentifiedImageError:
        raise Refused("The file is not a PNG, JPEG, WebP or GIF image.") from None
    except Image.DecompressionBombError:
        raise Refused(f"The image has more than {max(MOST.values())} megapixels.") from None
    most = MOST[str(image.format)]
    if image.width * image.height > most * MEGAPIXEL:
        raise Refused(f"The image has more than {most} megapixels.")
    if image.info.get("progressive") and _count_coefficients(image) > MOST_COEFFICIENTS:
        raise Refused(
            "The image has more pixels than a progressive JPEG may have; save it as a baseline JPEG."
        )
    # Only a JPEG can be decoded at a half, a quarter or an eighth of its size.
    image.draft(None, (max(SIZES), max(SIZES)))
    return image


def _count_coefficients(image: Image.Image) -> float:
    layers: list[tuple[int, int]] = [(each[1], each[2]) for each in cast(Any, image).layer]
    whole = max(across for across, _ in layers) * max(down for _, down in layers)
    return image.width * image.height * sum(across * down / whole for across, down in layers)


def shrink(image: Image.Image, longest: int) -> Image.Image:
    """Return the first frame in RGB or RGBA, with both sides at most `longest`; it never grows.

    A conversion of the whole image would need its memory a second time, so this works on bands of it.
    """
    mode = "RGBA" if image.has_transparency_data else "RGB"
    scale = max(1.0, max(image.size) / longest)
    width, height = (max(1, round(side / scale)) for side in image.size)
    rows = image.height / height
    margin = math.ceil(SUPPORT * rows) + 1
    shrunk = Image.new(mode, (width, height))
    for top in range(0, height, BAND):
        bottom = min(height, top + BAND)
        first = max(0, math.floor(top * rows) - margin)
        last = min(image.height, math.ceil(bottom * rows) + margin)
        band = _to_mode(image.crop((0, first, image.width, last)), mode)
        box = (0, top * rows - first, image.width, min(bottom * rows - first, last - first))
        shrunk.paste(band.resize((width, bottom - top), Image.Resampling.LANCZOS, box), (0, top))
    return shrunk


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits of grey; a conversion would clip all but the darkest.
        image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    return image if image.mode == mode else image.convert(mode)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Apply a colour profile, which the renditions do not keep."""
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # The profile is for another colour space, or damaged.
    return converted or image


def average_colour(image: Image.Image) -> str:
    """Return the average colour, on white, as #rrggbb."""
    dot = image.resize((1, 1), Image.Resampling.BOX).convert("RGBA")
    ground = Image.new("RGBA", (1, 1), "white")
    red, green, blue, _ = cast(tuple[int, ...], Image.alpha_composite(ground, dot).getpixel((0, 0)))
    return f"#{red:02x}{green:02x}{blue:02x}"


def render(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Return the description of the image and its renditions; raise Refused."""
    try:
        image = open_image(data)
        turned = image.getexif().get(ORIENTATION)
        profile = image.info.get("icc_profile")
        large = shrink(image, max(SIZES))
        image.close()
    except Refused:
        raise
    except MemoryError:
        raise Refused("The image needs too much memory; save it with fewer pixels.") from None
    except Exception:
        # The decoders raise errors of many classes for damaged files.
        raise Refused("The image is damaged.") from None
    exif = large.getexif()
    exif[ORIENTATION] = turned or 1
    large = _to_srgb(ImageOps.exif_transpose(large), profile)
    renditions = []
    for size in SIZES:
        out = io.BytesIO()
        # A new image has no metadata.
        shrink(large, size).save(out, "WEBP", quality=QUALITY, method=4, exif=b"", icc_profile=b"")
        renditions.append(out.getvalue())
    described = {"width": large.width, "height": large.height, "colour": average_colour(large)}
    return {**described, "lengths": [len(each) for each in renditions]}, renditions


def main() -> None:
    """Decode the image from standard input."""
    limit_process()
    try:
        described, renditions = render(sys.stdin.buffer.read())
    except Refused as refused:
        described, renditions = {"refused": str(refused)}, []
    sys.stdout.buffer.write(json.dumps(described).encode() + b"\n" + b"".join(renditions))


if __name__ == "__main__":
    main()
