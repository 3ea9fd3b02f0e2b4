"""The images of the sample products, rendered as SVG from one line of shapes each.

An image is named after its product's SKU, in lower case; the first three letters are the category. The name
of a colour follows if the image is of a variant.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

# The WebP files, which are drawn when the service is built, and their sizes in pixels.
FILES = Path(__file__).with_name("drawn")
SIZES = (480, 1200)
DRAWINGS = Path(__file__).with_name("sample_drawings.txt")

PALETTE = {
    **{"n": "#cf9a62", "N": "#94602f", "c": "#c5804d", "t": "#c46a41", "y": "#f8efdf", "w": "#ffffff"},
    **{"m": "#c3ccd5", "M": "#7f8b98", "j": "#4a5160", "k": "#2d3340", "q": "#d3e8ee"},
    **{"r": "#d9594c", "R": "#a63c34", "o": "#ea9a4b", "u": "#f4c852", "U": "#fbe7a199", "g": "#72a65c"},
    **{"G": "#3f7145", "T": "#3f9c95", "b": "#5b93d1", "B": "#2f4f7f", "v": "#8b74b4", "p": "#eeadb0"},
    **{"h": "#ffffff59", "s": "#00000022"},
}


@dataclass(frozen=True)
class Scene:
    """The common style of a category's images; `accent` and `shade` are the colours a and A."""

    light: str
    dark: str
    accent: str
    shade: str
    pattern: str


@dataclass(frozen=True)
class Drawing:
    """What is drawn: a scene, and shapes that are turned around the centre; colours by their letter."""

    scene: Scene
    turn: str
    shapes: tuple[str, ...]
    colours: dict[str, str]


def find_image(name: str) -> str | None:
    """Return the image of that name as an SVG document, or None."""
    drawing = find_drawing(name)
    return _draw(drawing) if drawing else None


def find_drawing(name: str) -> Drawing | None:
    """Return the drawing of that name, or None."""
    scenes, drawings = _read_drawings()
    if name not in drawings:
        return None
    # An image in another colour names the first image, and each of its colours with another.
    original, *swaps = drawings[name].removeprefix("= ").split() if drawings[name].startswith("=") else [name]
    scene = scenes[name[:3]]
    palette = PALETTE | {"a": scene.accent, "A": scene.shade}
    swapped = {old: palette[new] for old, new in zip(swaps[::2], swaps[1::2], strict=True)}
    first, *others = drawings[original].split("; ")
    is_turned = first.startswith("@")
    return Drawing(
        scene=scene,
        turn=first.removeprefix("@ ") if is_turned else "0",
        shapes=tuple(others if is_turned else [first, *others]),
        colours=palette | swapped,
    )


def find_file(name: str, size: int) -> Path | None:
    """Return the WebP file of that image and size, or None."""
    if size not in SIZES or name not in _read_drawings()[1]:
        return None
    file = FILES / f"{name}-{size}.webp"
    return file if file.is_file() else None


def list_images() -> list[str]:
    """Return the names of all images."""
    return list(_read_drawings()[1])


@cache
def _read_drawings() -> tuple[dict[str, Scene], dict[str, str]]:
    scenes: dict[str, Scene] = {}
    drawings: dict[str, str] = {}
    for line in DRAWINGS.read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(" ")
        if name.startswith("~"):
            scenes[name[1:]] = Scene(*rest.split(" ", maxsplit=4))
        elif name != "#":
            drawings[name] = rest
    return scenes, drawings


def _draw(drawing: Drawing) -> str:
    scene = drawing.scene
    body = "".join(_draw_shape(shape, drawing.colours) for shape in drawing.shapes)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="800" height="800">'
        f'<defs><radialGradient id="g" cx=".5" cy=".42" r=".75"><stop stop-color="{scene.light}"/>'
        f'<stop offset="1" stop-color="{scene.dark}"/></radialGradient></defs>'
        '<rect width="100" height="100" fill="url(#g)"/>'
        f'<path d="{scene.pattern}" fill="none" stroke="{scene.accent}" stroke-width="1.2" opacity=".16"/>'
        '<ellipse cx="50" cy="86" rx="34" ry="4.5" fill="#000" fill-opacity=".12"/>'
        '<g stroke-linecap="round" stroke-linejoin="round" '
        f'transform="rotate({drawing.turn} 50 50)">{body}</g></svg>'
    )


def _draw_shape(shape: str, colours: dict[str, str]) -> str:
    kind, *numbers, letter = shape.split()
    colour = colours[letter]
    match kind, numbers:
        case "c", [x, y, radius]:
            return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour}"/>'
        case "e", [x, y, rx, ry]:
            return f'<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{ry}" fill="{colour}"/>'
        case "r", [x, y, width, height, radius]:
            return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}" fill="{colour}"/>'
        case "p", path:
            return f'<path d="{" ".join(path)}" fill="{colour}"/>'
        case "l", [*path, width]:
            line = f'fill="none" stroke="{colour}" stroke-width="{width}"'
            return f'<path d="{" ".join(path)}" {line}/>'
    raise ValueError(f"Unknown shape: {shape!r}")
