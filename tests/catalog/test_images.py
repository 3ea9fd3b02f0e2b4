"""The pictures of the sample's products."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from catalog.images import find_image, list_images
from catalog.sources import SAMPLE

PRODUCTS = json.loads(Path(SAMPLE).read_text())
SVG = "{http://www.w3.org/2000/svg}"


def test_each_product_of_the_sample_has_a_picture_of_its_own():
    named = [product["images"] for product in PRODUCTS]
    assert named == [[f"/images/{product['sku'].lower()}.svg"] for product in PRODUCTS]
    assert [name for [name] in named] == [f"/images/{name}.svg" for name in list_images()]
    assert len({find_image(name) for name in list_images()}) == len(PRODUCTS)


@pytest.mark.parametrize("name", list_images())
def test_a_picture_is_a_drawing_and_nothing_else(name):
    root = ElementTree.fromstring(find_image(name))  # noqa: S314  # It is our own.
    assert root.tag == f"{SVG}svg"
    drawn = {f"{SVG}{tag}" for tag in ("svg", "defs", "radialGradient", "stop", "g")}
    drawn |= {f"{SVG}{tag}" for tag in ("rect", "circle", "ellipse", "path")}
    assert {element.tag for element in root.iter()} <= drawn
    # No script, no style, no address of anything elsewhere.
    for element in root.iter():
        assert not {"style", "href", "onload"} & set(element.attrib)
    assert len(list(root.iter())) > 8


def test_a_picture_is_public_and_may_be_kept_for_long(start_catalog):
    client = start_catalog().test_client()
    answer = client.get("/images/kit-0001.svg")
    assert answer.status_code == 200
    assert answer.content_type == "image/svg+xml; charset=utf-8"
    assert "public, max-age=604800" in answer.headers["Cache-Control"]
    again = client.get("/images/kit-0001.svg", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "name", ["kit-9999.svg", "kit-0001.png", "kit.svg", "~kit.svg", ".svg", "#.svg", "xyz-0001.svg"]
)
def test_a_picture_that_is_not_there_is_404(start_catalog, name):
    answer = start_catalog().test_client().get(f"/images/{name}")
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"
