"""The outlines of shapes as lists of points: curves become short lines."""

import math
import re
from collections.abc import Iterator
from itertools import pairwise

Point = tuple[float, float]
TOKEN = re.compile(r"[A-Za-z]|[-+]?(?:\d+\.?\d*|\.\d+)")
NUMBERS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "Q": 4, "T": 2, "A": 7, "Z": 0}
STEPS = 24  # Lines of a curve.


def trace_path(path: str) -> list[tuple[list[Point], bool]]:
    """Return the outlines of an SVG path with absolute commands, and whether each is closed."""
    found: list[tuple[list[Point], bool]] = []
    points: list[Point] = []
    control: Point | None = None
    for command, numbers in _read_commands(path):
        if command == "M":
            points = [(numbers[0], numbers[1])]
            found.append((points, False))
            control = None
            continue
        if not points:
            raise ValueError(f"A path begins with M: {path!r}")
        start = points[-1]
        if command == "Z":
            found[-1] = (points, True)
            points = [points[0]]
            found.append((points, False))
        elif command in "LHV":
            x = numbers[0] if command != "V" else start[0]
            y = numbers[-1] if command != "H" else start[1]
            points.append((x, y))
        elif command in "QT":
            if command == "Q":
                control = (numbers[0], numbers[1])
            else:
                control = start if control is None else (2 * start[0] - control[0], 2 * start[1] - control[1])
            points += _curve([start, control, (numbers[-2], numbers[-1])])
            continue
        elif command == "C":
            points += _curve([start, *zip(numbers[::2], numbers[1::2], strict=True)])
        else:
            points += _arc(start, numbers)
        control = None
    return [(points, is_closed) for points, is_closed in found if len(points) > 1]


def trace_ellipse(x: float, y: float, rx: float, ry: float) -> list[Point]:
    """Return the outline of an ellipse with this centre and these radii."""
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in _angles(0, 2 * math.pi, 96)]


def trace_rectangle(x: float, y: float, width: float, height: float, radius: float) -> list[Point]:
    """Return the outline of a rectangle, whose corners have this radius."""
    radius = min(radius, width / 2, height / 2)
    if not radius:
        return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    corners = [(x + width - radius, y + radius), (x + width - radius, y + height - radius)]
    corners += [(x + radius, y + height - radius), (x + radius, y + radius)]
    found = []
    for number, (left, top) in enumerate(corners):
        begin = (number - 1) * math.pi / 2
        angles = [begin, *_angles(begin, math.pi / 2, 16)]
        found += [(left + radius * math.cos(angle), top + radius * math.sin(angle)) for angle in angles]
    return found


def turn(points: list[Point], degrees: float, centre: Point) -> list[Point]:
    """Return the points turned clockwise around a centre."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = centre
    return [
        (x + (left - x) * cosine - (top - y) * sine, y + (left - x) * sine + (top - y) * cosine)
        for left, top in points
    ]


def _read_commands(path: str) -> Iterator[tuple[str, list[float]]]:
    tokens = TOKEN.findall(path)
    place, command = 0, ""
    while place < len(tokens):
        if tokens[place].isalpha():
            command, place = tokens[place], place + 1
        elif command == "M":
            command = "L"  # Further points after a move are lines.
        count = NUMBERS[command]
        numbers = [float(token) for token in tokens[place : place + count]]
        if len(numbers) < count:
            raise ValueError(f"A path ends in the middle of {command}: {path!r}")
        yield command, numbers
        place += count


def _curve(controls: list[Point]) -> list[Point]:
    """Return the points of a Bézier curve, without its first."""
    found = []
    for step in range(1, STEPS + 1):
        part, level = step / STEPS, controls
        while len(level) > 1:
            level = [(a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part) for a, b in pairwise(level)]
        found.append(level[0])
    return found


def _arc(start: Point, numbers: list[float]) -> list[Point]:
    """Return the points of an elliptical arc, without its first (SVG 2, appendix B.2.4)."""
    rx, ry, degrees, is_large, is_clockwise, x, y = numbers
    if not rx or not ry or start == (x, y):
        return [(x, y)]
    (dx, dy) = turn([((start[0] - x) / 2, (start[1] - y) / 2)], -degrees, (0, 0))[0]
    stretch = math.sqrt(max(1.0, (dx / rx) ** 2 + (dy / ry) ** 2))
    rx, ry = rx * stretch, ry * stretch
    square = (rx * ry) ** 2 / ((rx * dy) ** 2 + (ry * dx) ** 2) - 1
    factor = math.sqrt(max(0.0, square)) * (-1 if bool(is_large) == bool(is_clockwise) else 1)
    middle = (factor * rx * dy / ry, -factor * ry * dx / rx)
    begin = math.atan2((dy - middle[1]) / ry, (dx - middle[0]) / rx)
    end = math.atan2((-dy - middle[1]) / ry, (-dx - middle[0]) / rx)
    sweep = (end - begin) % (2 * math.pi)
    if not is_clockwise:
        sweep -= 2 * math.pi
    around = [
        (middle[0] + rx * math.cos(angle), middle[1] + ry * math.sin(angle))
        for angle in _angles(begin, sweep, 2 * STEPS)
    ]
    left, top = (start[0] + x) / 2, (start[1] + y) / 2
    return [(left + dx, top + dy) for dx, dy in turn(around, degrees, (0, 0))]


def _angles(begin: float, sweep: float, steps: int) -> list[float]:
    return [begin + sweep * step / steps for step in range(1, steps + 1)]
