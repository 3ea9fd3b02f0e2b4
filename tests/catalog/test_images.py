"""The images of the sample products."""

import json
from pathlib import Path
from xml.etree import ElementTree

from catalog.images import find_image, list_images
from catalog.sources import SAMPLE

PRODUCTS = json.loads(Path(SAMPLE).read_text())
SVG = "{http://www.w3.org/2000/svg}"


def test_each_sample_product_has_its_own_image():
    named = [product["images"] for product in PRODUCTS]
    assert named == [[f"/images/{product['sku'].lower()}.svg"] for product in PRODUCTS]
    assert [name for [name] in named] == [f"/images/{name}.svg" for name in list_images()]
    assert len({find_image(name) for name in list_images()}) == len(PRODUCTS)


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


def test_an_image_is_public_and_cacheable_for_a_week(client):
    answer = client.get("/images/kit-0001.svg")
    assert answer.status_code == 200
    assert answer.content_type == "image/svg+xml; charset=utf-8"
    assert "public, max-age=604800" in answer.headers["Cache-Control"]
    again = client.get("/images/kit-0001.svg", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_an_unknown_image_is_404(client):
    names = ("kit-9999.svg", "kit-0001.png", "kit.svg", "~kit.svg", ".svg", "#.svg", "xyz-0001.svg")
    answers = {name: client.get(f"/images/{name}") for name in names}
    found = {name: (answer.status_code, answer.content_type) for name, answer in answers.items()}
    assert found == dict.fromkeys(names, (404, "application/problem+json"))
