"""The images of the sample products."""

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from catalog import images
from catalog.commands import draw as drawing
from catalog.images import find_drawing, find_image, list_images
from catalog.outlines import trace_path
from catalog.rasters import draw_files
from catalog.sources import SAMPLE

PRODUCTS = json.loads(Path(SAMPLE).read_text())
SVG = "{http://www.w3.org/2000/svg}"
SUFFIX = "-1200.webp"


def test_each_sample_product_and_each_colour_has_its_own_image():
    named = [path for product in PRODUCTS for path in product["images"]]
    wrong = [
        product["sku"]
        for product in PRODUCTS
        # Products with variants show what a stored image is: a WebP file in two sizes.
        if product["images"][0]
        != f"/images/{product['sku'].lower()}{SUFFIX if 'variants' in product else '.svg'}"
    ]
    assert wrong == []
    names = [path.removeprefix("/images/").removesuffix(SUFFIX).removesuffix(".svg") for path in named]
    assert sorted(names) == sorted(list_images())
    assert len({find_image(name) for name in list_images()}) == len(named)


def test_the_image_of_a_variant_is_one_of_its_product_and_the_same_for_equal_colours():
    wrong = {}
    for product in PRODUCTS:
        by_colour = {}
        for variant in product.get("variants", []):
            by_colour.setdefault(variant["options"].get("Colour"), set()).add(variant.get("image"))
        named = [image for found in by_colour.values() for image in found if image]
        colours = len([colour for colour in by_colour if colour])
        if not set(named) <= set(product["images"]) or len(named) != colours:
            wrong[product["sku"]] = by_colour
    assert wrong == {}


def test_an_image_contains_nothing_but_shapes():
    drawn = {f"{SVG}{tag}" for tag in ("svg", "defs", "radialGradient", "stop", "g")}
    drawn |= {f"{SVG}{tag}" for tag in ("rect", "circle", "ellipse", "path")}
    wrong = {}
    for name in list_images():
        root = ElementTree.fromstring(find_image(name))  # noqa: S314  # Our own file.
        elements = list(root.iter())
        # No scripts, no styles, no external references.
        others = {element.tag for element in elements} - drawn
        active = {"style", "href", "onload"} & {key for element in elements for key in element.attrib}
        if root.tag != f"{SVG}svg" or others or active or len(elements) <= 8:
            wrong[name] = (root.tag, others, active, len(elements))
    assert wrong == {}


PATHS = {
    "lines": ("M0 0H10V10L0 10Z", [(0, 0), (10, 0), (10, 10), (0, 10)], True),
    "lines after a move": ("M0 0 5 5", [(0, 0), (5, 5)], False),
    "a curve through its middle": ("M0 0Q10 20 20 0", [(0, 0), (10, 10), (20, 0)], False),
    "a smooth curve": ("M0 0Q10 20 20 0T40 0", [(10, 10), (20, 0), (30, -10), (40, 0)], False),
    "a cubic curve": ("M0 0C0 20 20 20 20 0", [(0, 0), (10, 15), (20, 0)], False),
    "the upper half of a circle": ("M0 0A10 10 0 0 1 20 0", [(10, -10), (20, 0)], False),
    "the lower half of a circle": ("M0 0A10 10 0 0 0 20 0", [(10, 10), (20, 0)], False),
    "an arc that is too small for its ends": ("M0 0A1 1 0 0 1 20 0", [(10, -10)], False),
    "a turned ellipse": ("M0 0A20 10 90 0 1 20 0", [(10, -20)], False),
}


def test_the_outline_of_a_path_has_the_points_of_its_commands():
    wrong = {}
    for name, (path, expected, is_closed) in PATHS.items():
        ((points, closed),) = trace_path(path)
        missing = [
            point
            for point in expected
            if min(abs(x - point[0]) + abs(y - point[1]) for x, y in points) > 0.01
        ]
        if missing or closed is not is_closed:
            wrong[name] = (missing, closed)
    assert wrong == {}


def test_a_path_may_have_several_outlines():
    found = trace_path("M0 0H4ZM1 1V5")
    assert [(len(points), is_closed) for points, is_closed in found] == [(2, True), (2, False)]


@pytest.fixture(scope="module")
def board():
    """The files of the first product."""
    return draw_files(find_drawing("kit-0001"))


def test_a_drawn_file_has_its_size_and_the_colours_of_the_drawing(board):
    # Of the chopping board: its wood, its hole, and the ground at the top left and the centre.
    expected = {(30, 30): "#cf9a62", (50, 25): "#f8efdf", (45, 55): "#cf9a62", (33, 54): "#94602f"}
    wrong = {}
    for size, content in board.items():
        image = Image.open(BytesIO(content))
        assert (image.format, image.size) == ("WEBP", (size, size))
        for (x, y), colour in expected.items():
            found = image.convert("RGB").getpixel((round(x * size / 100), round(y * size / 100)))
            wanted = tuple(bytes.fromhex(colour[1:]))
            if max(abs(one - other) for one, other in zip(found, wanted, strict=True)) > 8:
                wrong[size, x, y] = (found, wanted)
    assert wrong == {}


def test_the_images_of_a_list_are_small(board):
    # A page shows up to 30 of them.
    assert len(board[480]) < 8_000
    assert len(board[1200]) < 30_000


def test_the_image_of_a_colour_differs_in_that_colour_alone():
    green, red = (
        Image.open(BytesIO(draw_files(find_drawing(name))[480])) for name in ("lgt-0001", "lgt-0001-red")
    )
    places = {"shade": (67 * 4.8, 30 * 4.8), "ground": (20, 200)}
    found = {
        name: [image.convert("RGB").getpixel(place) for image in (green, red)]
        for name, place in places.items()
    }
    before, after = found["shade"]
    assert before[1] > before[0]
    assert after[0] > after[1]
    assert max(abs(one - other) for one, other in zip(*found["ground"], strict=True)) <= 4


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """A folder from which the images are served, with a drawing of two of them."""
    monkeypatch.setattr(images, "FILES", tmp_path)
    monkeypatch.setattr(drawing, "_list_names", lambda: ["kit-0001", "kit-0002"])
    assert drawing.draw_all(tmp_path) == 2
    return tmp_path


def test_images_are_drawn_again_only_if_the_drawings_changed(drawn, monkeypatch):
    assert sorted(path.name for path in drawn.iterdir()) == [
        "drawn",
        *[f"kit-000{number}-{size}.webp" for number in (1, 2) for size in (1200, 480)],
    ]
    assert drawing.draw_all(drawn) == 0
    changed = drawn.parent / "drawings.txt"
    changed.write_bytes(images.DRAWINGS.read_bytes() + b"# Changed")
    monkeypatch.setattr(images, "DRAWINGS", changed)
    assert drawing.draw_all(drawn) == 2


def test_the_service_itself_does_not_load_the_drawing_library():
    # Each process would take some 10 MiB more.
    code = "import sys, catalog.routes.images; sys.exit('catalog.rasters' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_a_drawn_image_is_public_and_cacheable_for_a_week(client, drawn):
    answer = client.get("/images/kit-0001-480.webp")
    assert (answer.status_code, answer.content_type) == (200, "image/webp")
    assert answer.data == (drawn / "kit-0001-480.webp").read_bytes()
    assert "public, max-age=604800" in answer.headers["Cache-Control"]
    again = client.get("/images/kit-0001-480.webp", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_an_image_is_public_and_cacheable_for_a_week(client):
    answer = client.get("/images/kit-0001.svg")
    assert answer.status_code == 200
    assert answer.content_type == "image/svg+xml; charset=utf-8"
    assert "public, max-age=604800" in answer.headers["Cache-Control"]
    again = client.get("/images/kit-0001.svg", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_an_unknown_image_is_404(client, drawn):
    (drawn / "secret-480.webp").write_bytes(b"secret")
    names = ("kit-9999.svg", "kit-0001.png", "kit.svg", "~kit.svg", ".svg", "#.svg", "xyz-0001.svg")
    names += ("kit-9999-480.webp", "kit-0001-481.webp", "kit-0001.webp", "secret-480.webp", "~kit-480.webp")
    names += ("..%2fsecret-480.webp", "kit-0003-480.webp")
    answers = {name: client.get(f"/images/{name}") for name in names}
    found = {name: (answer.status_code, answer.content_type) for name, answer in answers.items()}
    assert found == dict.fromkeys(names, (404, "application/problem+json"))
