"""The bodies of products, which are written without validation, are those of the documentation."""

import pytest
from pydantic import BaseModel

from catalog.schemas.products import ProductDetailsOut, ProductPage
from tests.catalog.drawn import draw


@pytest.fixture
def get(client, auth):
    """Return the body of a GET."""
    return lambda path: client.get(path, headers=auth.bearer()).json


def require(model: type[BaseModel], body):
    """Check that the body has the documented members, of the documented types, and no others."""
    assert model.model_validate(body, strict=False).model_dump(mode="json", exclude_unset=True) == body


def test_each_product_of_the_sample_has_the_documented_members(get):
    page = get("/products?limit=100")
    require(ProductPage, page)
    assert page["next"]
    assert {product["variant_count"] > 1 for product in page["data"]} == {True, False}
    for product in page["data"]:
        require(ProductDetailsOut, get(f"/products/{product['id']}"))


@pytest.mark.parametrize("question", ["", "&category=kitchen", "&q=walnutt", "&option.Size=M", "&q=no-such"])
def test_facets_have_the_documented_members(client, auth, get, question):
    admin = auth.bearer(role="admin")
    assert (
        client.put("/products/metadata-keys", json={"keys": ["material"]}, headers=admin).status_code == 200
    )
    page = get(f"/products?facets=true{question}")
    require(ProductPage, page)
    assert "metadata" in page["facets"]
    assert ("corrected" in page) == (question == "&q=walnutt")


def test_a_product_with_an_image_of_its_own_has_the_documented_members(client, auth, get):
    headers = {**auth.bearer(role="admin"), "Content-Type": "image/png"}
    added = client.post("/products/1/images", data=draw(), headers=headers)
    assert added.status_code == 201
    require(ProductPage, get("/products"))
    body = get("/products/1")
    require(ProductDetailsOut, body)
    assert added.json in body["media"]
