"""Draw the images of the sample products as WebP files; only the build of the service does this."""

import math
from functools import cache
from io import BytesIO

from PIL import Image, ImageColor, ImageDraw

from catalog.images import SIZES, Drawing
from catalog.outlines import Point, trace_ellipse, trace_path, trace_rectangle, turn

SAMPLES = 2  # Pixels that are drawn for each of the larger file, in both directions.
SIDE = SIZES[-1] * SAMPLES
SCALE = SIDE / 100  # The drawings have 100 units on each side.
QUALITY = {480: 74, 1200: 80}


def draw_files(drawing: Drawing) -> dict[int, bytes]:
    """Return the WebP files of a drawing by size."""
    image = draw_image(drawing)
    return {
        size: _encode(image.resize((size, size), Image.Resampling.BOX, reducing_gap=None), size)
        for size in SIZES
    }


def draw_image(drawing: Drawing) -> Image.Image:
    """Return a drawing in the size in which it is drawn, as its SVG shows it."""
    scene = drawing.scene
    image = Image.composite(_fill(scene.dark), _fill(scene.light), _gradient())
    canvas = _Canvas(image, 0.0)
    canvas.stroke(scene.pattern, 1.2, scene.accent, 0.16)
    canvas.fill([trace_ellipse(50, 86, 34, 4.5)], "#000000", 0.12)
    canvas.degrees = float(drawing.turn)
    for shape in drawing.shapes:
        kind, *parts, letter = shape.split()
        colour = drawing.colours[letter]
        if kind == "l":
            canvas.stroke(" ".join(parts[:-1]), float(parts[-1]), colour)
        elif kind == "p":
            canvas.fill([points for points, _is_closed in trace_path(" ".join(parts))], colour)
        elif kind == "r":
            x, y, width, height, radius = map(float, parts)
            canvas.fill([trace_rectangle(x, y, width, height, radius)], colour)
        else:
            x, y, rx, *ry = map(float, parts)
            canvas.fill([trace_ellipse(x, y, rx, *(ry or [rx]))], colour)
    return image


class _Canvas:
    """An image on which shapes are drawn, turned by `degrees` around its centre."""

    def __init__(self, image: Image.Image, degrees: float) -> None:
        self._image = image
        self.degrees = degrees

    def fill(self, outlines: list[list[Point]], colour: str, opacity: float = 1.0) -> None:
        """Fill the outlines."""
        placed = [self._place(points) for points in outlines]
        self._paint(placed, 0.0, colour, opacity)

    def stroke(self, path: str, width: float, colour: str, opacity: float = 1.0) -> None:
        """Draw the lines of a path with round ends and corners."""
        lines = [
            self._place([*points, points[0]] if is_closed else points)
            for points, is_closed in trace_path(path)
        ]
        self._paint(lines, width * SCALE, colour, opacity)

    def _place(self, points: list[Point]) -> list[Point]:
        turned = turn(points, self.degrees, (50, 50)) if self.degrees else points
        return [(x * SCALE, y * SCALE) for x, y in turned]

    def _paint(self, lines: list[list[Point]], width: float, colour: str, opacity: float) -> None:
        red, green, blue, *alpha = ImageColor.getrgb(colour)
        value = round((alpha[0] if alpha else 255) * opacity)
        # A mask of the shape alone, so that lines that cross themselves are no darker there.
        xs = [x for line in lines for x, _y in line]
        ys = [y for line in lines for _x, y in line]
        margin = width / 2 + 2
        left, top = max(0, int(min(xs) - margin)), max(0, int(min(ys) - margin))
        right, bottom = min(SIDE, int(max(xs) + margin) + 1), min(SIDE, int(max(ys) + margin) + 1)
        mask = Image.new("L", (right - left, bottom - top))
        pen = ImageDraw.Draw(mask)
        for line in lines:
            moved = [(x - left, y - top) for x, y in line]
            if not width:
                pen.polygon(moved, fill=value)
                continue
            pen.line(moved, fill=value, width=round(width))
            for x, y in moved:
                pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=value)
        self._image.paste((red, green, blue), (left, top), mask)


@cache
def _gradient() -> Image.Image:
    """Return how dark the ground is: from 0 at 42 units from the top to 255 at a distance of 75 units."""
    # Pillow's gradient is a square of 256 pixels, and reaches 255 in its corners.
    unit = 2
    left, top = 128 - 50 * unit, 128 - 42 * unit
    box = (left, top, left + 100 * unit, top + 100 * unit)
    stretch = 128 * math.sqrt(2) / (75 * unit)
    distances = Image.radial_gradient("L").point(lambda value: min(255, round(value * stretch)))
    return distances.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)


@cache
def _fill(colour: str) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), colour)


def _encode(image: Image.Image, size: int) -> bytes:
    file = BytesIO()
    image.save(file, "WEBP", quality=QUALITY[size], method=4)
    return file.getvalue()
