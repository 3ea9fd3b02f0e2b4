"""Charts as SVG, for light and dark backgrounds: lines over logarithmic axes, in panels, and bars."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 860
MARGIN = 24
LINE, BAR = 18, 16  # Heights in pixels, as all numbers here.
GAP = 6  # Between bars.
# Inks of text, softer text, grid and background, and one for each series; first for light, then for dark.
INKS = {
    "text": ("#14140f", "#f4f3ee"),
    "soft": ("#57564f", "#bdbcb2"),
    "grid": ("#e2e1da", "#33332f"),
    "paper": ("#fdfdfb", "#1b1b19"),
}
SERIES = [
    ("#2a78d6", "#5598e7"),
    ("#d9591c", "#ec7d4b"),
    ("#12875d", "#27b684"),
    ("#a86f00", "#d89a1c"),
    ("#5a49b8", "#a195ee"),
    ("#c93434", "#ef7a7a"),
    ("#b4447f", "#e283b2"),
    ("#5b6b73", "#93a5ae"),
]


@dataclass(frozen=True)
class Line:
    """A series of points, none of which has a coordinate of 0; `ink` is its place in SERIES."""

    name: str
    points: Sequence[tuple[float, float]]
    ink: int = 0
    dashed: bool = False


@dataclass(frozen=True)
class Bar:
    """A bar from `low` to `high`, and what stands behind it."""

    name: str
    high: float
    text: str
    ink: int = 0
    low: float = 0.0


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis over some pixels."""

    values: tuple[float, float]
    pixels: tuple[float, float]

    def place(self, value: float) -> float:
        """Return where a value is."""
        low, high = (math.log(each) for each in self.values)
        share = (math.log(value) - low) / (high - low)
        return self.pixels[0] + share * (self.pixels[1] - self.pixels[0])


def draw_lines(title: str, subtitle: str, lines: Sequence[Line], *, x: str, y: str, height: int = 440) -> str:
    """Return a chart of lines, each with its name at its end; `x` and `y` are the titles of the axes."""
    top, bottom, left, right = 106.0, height - 56.0, MARGIN + 44.0, WIDTH - 270.0
    across, up = _span(lines, (left, right), (bottom, top))
    parts = [*_grid(across, up, lines), _text(MARGIN, top - 20, y, "soft"), _x_title(across, bottom, x)]
    named = sorted((line for line in lines if line.points), key=lambda line: up.place(line.points[-1][1]))
    wanted = [up.place(line.points[-1][1]) for line in named]
    for line, place in zip(named, spread(wanted, LINE, top, bottom), strict=True):
        parts += _line(line, across, up)
        end = across.place(line.points[-1][0]), up.place(line.points[-1][1])
        parts.append(
            f'<path class="lead" d="M{end[0] + 7:.1f} {end[1]:.1f}L{right + 22:.1f} {place:.1f}"/>'
            f'<circle class="f{line.ink}" cx="{right + 28:.1f}" cy="{place:.1f}" r="4"/>'
        )
        parts.append(_text(right + 38, place + 4, f"{line.name}, {_write(line.points[-1][1])}"))
    return _page(title, subtitle, parts, height)


def draw_panels(
    title: str,
    subtitle: str,
    panels: Sequence[tuple[str, Sequence[Line]]],
    *,
    x: str,
    y: str,
    columns: int = 4,
) -> str:
    """Return a chart of small panels with the same axes; the legend is the names of the first one's lines."""
    rows = math.ceil(len(panels) / columns)
    width, depth = (WIDTH - 2 * MARGIN - 30) / columns, 190.0
    every = [line for _, lines in panels for line in lines]
    parts, place = [_text(MARGIN, 84, y, "soft")], 250.0
    for line in panels[0][1] if panels else ():
        parts.append(f'<path class="s{line.ink}{_dash(line)}" d="M{place} 80h26"/>')
        parts.append(_text(place + 32, 84, line.name))
        place += 70 + 7 * len(line.name)
    for number, (name, lines) in enumerate(panels):
        row, column = divmod(number, columns)
        left, top = MARGIN + 44 + column * width, 128.0 + row * (depth + 34)
        across, up = _span(every, (left, left + width - 24), (top + depth - 44, top))
        parts += _grid(across, up, every, with_numbers=column == 0)
        parts.append(_text(left, top - 12, name, "label"))
        if number + columns >= len(panels):
            parts.append(_x_title(across, top + depth - 44, x))
        for line in lines:
            parts += _line(line, across, up)
    return _page(title, subtitle, parts, int(120 + rows * (depth + 34)))


def draw_bars(title: str, subtitle: str, groups: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Return bars, lying, in groups that have a heading; all begin at the same 0."""
    left, right = MARGIN + 190.0, WIDTH - 190.0
    parts, y = [], 92.0
    for heading, bars in groups:
        parts.append(_text(MARGIN, y, heading, "label"))
        y += 12
        scale = (right - left) / max((bar.high for bar in bars), default=1.0)
        parts.append(f'<path class="grid" d="M{left} {y - 2}v{len(bars) * (BAR + GAP)}"/>')
        for bar in bars:
            begin, length = left + bar.low * scale, max(2.0, (bar.high - bar.low) * scale)
            parts.append(_text(left - 10, y + BAR - 4, bar.name, "text end"))
            box = f'x="{begin:.1f}" y="{y:.1f}" width="{length:.1f}" height="{BAR}" rx="2"'
            parts.append(f'<rect class="f{bar.ink}" {box}/>')
            parts.append(_text(begin + length + 8, y + BAR - 4, bar.text, "soft"))
            y += BAR + GAP
        y += 26
    return _page(title, subtitle, parts, int(y))


def spread(wanted: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """Return places in the same order and at least a gap apart, near what is wanted (in rising order)."""
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + gap if places else top))
    limit = bottom
    for number in reversed(range(len(places))):
        places[number] = min(places[number], limit)
        limit = places[number] - gap
    return places


def _span(
    lines: Iterable[Line], pixels_x: tuple[float, float], pixels_y: tuple[float, float]
) -> tuple[Axis, Axis]:
    points = [point for line in lines for point in line.points] or [(1.0, 1.0)]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = 10.0 ** math.floor(math.log10(min(ys))), 10.0 ** math.ceil(math.log10(max(ys) * 1.001))
    return Axis((min(xs), max(*xs, min(xs) * 2)), pixels_x), Axis((low, high), pixels_y)


def _grid(across: Axis, up: Axis, lines: Iterable[Line], *, with_numbers: bool = True) -> list[str]:
    (left, right), bottom = across.pixels, up.pixels[0]
    parts = []
    decade = up.values[0]
    while decade <= up.values[1] * 1.001:
        y = up.place(decade)
        parts.append(f'<path class="grid" d="M{left:.1f} {y:.1f}H{right:.1f}"/>')
        if with_numbers:
            parts.append(_text(left - 8, y + 4, _write(decade), "soft end"))
        decade *= 10
    for value in sorted({x for line in lines for x, _ in line.points}):
        x = across.place(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {bottom:.1f}v5"/>')
        parts.append(_text(x, bottom + 19, f"{value:g}", "soft mid"))
    return parts


def _line(line: Line, across: Axis, up: Axis) -> list[str]:
    places = [(across.place(x), up.place(y)) for x, y in line.points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = [f'<circle class="f{line.ink}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
    return [f'<path class="s{line.ink}{_dash(line)}" d="M{path}"/>', *dots] if places else []


def _dash(line: Line) -> str:
    return " dashed" if line.dashed else ""


def _x_title(across: Axis, bottom: float, title: str) -> str:
    return _text(sum(across.pixels) / 2, bottom + 38, title, "soft mid")


def _text(x: float, y: float, text: str, kind: str = "text") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _write(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}") if value >= 100 else f"{value:.3g}"


def _page(title: str, subtitle: str, parts: Iterable[str], height: int) -> str:
    content = "\n".join(parts)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" \
viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">
<style>
text {{ font: 12.5px system-ui, "Segoe UI", "DejaVu Sans", sans-serif }}
.title {{ font-size: 18px; font-weight: 600 }} .label {{ font-size: 12px; font-weight: 600 }}
.end {{ text-anchor: end }} .mid {{ text-anchor: middle }} .dashed {{ stroke-dasharray: 5 4 }}
path {{ fill: none; stroke-width: 2; stroke-linejoin: round }} .grid, .lead {{ stroke-width: 1 }}
{_inks(0)}
@media (prefers-color-scheme: dark) {{
{_inks(1)}
}}
</style>
<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>
<text class="title" x="{MARGIN}" y="36">{escape(title)}</text>
{_text(MARGIN, 57, subtitle, "soft")}
{content}
</svg>
"""


def _inks(mode: int) -> str:
    text, soft, grid, paper = (INKS[name][mode] for name in ("text", "soft", "grid", "paper"))
    series = "\n".join(
        f".s{number} {{ stroke: {inks[mode]} }} .f{number} {{ fill: {inks[mode]} }}"
        for number, inks in enumerate(SERIES)
    )
    return (
        f"text {{ fill: {text} }} .soft {{ fill: {soft} }} .paper {{ fill: {paper} }} "
        f".grid, .lead {{ stroke: {grid} }}\n{series}"
    )
