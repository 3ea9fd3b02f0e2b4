"""Slugs in product files: those that a file sets, keeps, leaves to the shop, or may not have."""

import io

import pytest
from sqlalchemy import text

from catalog.errors import SlugTaken
from catalog.use_cases import imports
from catalog.use_cases.admin import remove_product
from catalog.use_cases.imports import import_products
from tests.catalog.fake_source import copy_stock
from tests.catalog.product_files import (
    export_lines,
    export_table,
    find_product,
    load_lines,
    load_table,
    refuse,
    write_table,
)


@pytest.fixture
def shop(database):
    """A database with the products 1 and 2 of a source: thing-1, thing-2."""
    copy_stock(database, {1: 1, 2: 1})
    return database


def list_slugs(database):
    """Return the current slug of each product for sale by its title."""
    query = """
        SELECT title, slug FROM products JOIN product_slugs ON product_id = id AND is_current
        WHERE removed_at IS NULL
    """
    with database.transaction() as connection:
        return {row.title: row.slug for row in connection.execute(text(query))}


def list_former(database):
    """Return the former slugs with the titles of their products."""
    query = "SELECT slug, title FROM products JOIN product_slugs ON product_id = id AND NOT is_current"
    with database.transaction() as connection:
        return {row.slug: row.title for row in connection.execute(text(query))}


def read_version(database, product_id):
    with database.transaction() as connection:
        query = text("SELECT version, edited FROM products WHERE id = :id")
        return tuple(connection.execute(query, {"id": product_id}).one())


def test_a_file_sets_the_slugs_of_known_and_new_products_and_keeps_the_former_ones(shop):
    table = "id,title,slug,price\n1,Thing 1,first-thing,5\n,Kettle,copper-kettle,9\n,Bowl,,8\n"
    done = load_table(shop, table)
    assert (done.added, done.changed) == (2, 1)
    assert list_slugs(shop) == {
        "Thing 1": "first-thing",
        "Thing 2": "thing-2",
        "Kettle": "copper-kettle",
        "Bowl": "bowl",
    }
    # A new product has never had the slug of its title.
    assert list_former(shop) == {"thing-1": "Thing 1"}
    assert read_version(shop, 1) == (2, [])
    assert load_lines(shop, {"id": 1, "slug": "first-thing"}).changed == 0
    # A product can have its former slug again.
    assert load_lines(shop, {"id": 1, "slug": "thing-1"}).changed == 1
    assert list_former(shop) == {"first-thing": "Thing 1"}


def test_a_product_with_variants_has_the_slug_of_one_of_its_lines(shop):
    variants = [{"sku": f"SHIRT-{size}", "options": {"Size": size}, "price": 20} for size in "SM"]
    options = [{"name": "Size", "values": ["S", "M"]}]
    shirt = {"title": "Shirt", "slug": "linen-shirt", "options": options, "variants": variants}
    assert load_lines(shop, shirt).added == 1
    table = "handle,sku,title,slug,option1_name,option1_value,price\n"
    table += "a,MUG-S,Mug,tall-mug,Size,S,5\na,MUG-M,,,Size,M,6\n"
    assert load_table(shop, table).added == 1
    assert (list_slugs(shop)["Shirt"], list_slugs(shop)["Mug"]) == ("linen-shirt", "tall-mug")
    product = find_product(shop, "Shirt")
    line = {"id": product.id, "slug": "shirt", "variants": [{"sku": "SHIRT-S"}]}
    assert load_lines(shop, line).changed == 1
    assert (find_product(shop, "Shirt").slug, find_product(shop, "Shirt").version) == ("shirt", 2)
    found = refuse(shop, table.replace("MUG-M,,,", "MUG-M,,other,"))
    assert found == [("row 3", "slug", "It differs from row 2 of the same product.")]


def test_an_empty_cell_leaves_the_slug_alone(shop):
    load_lines(shop, {"id": 1, "slug": "first"})
    header = [name for name in export_table(shop)[0] if name != "id"]
    cells = ["Thing 1" if name == "title" else "" for name in header]
    load_table(shop, write_table([["id", *header], ["1", *cells]]))
    assert list_slugs(shop)["Thing 1"] == "first"


def test_slugs_that_a_product_cannot_have_are_reported_with_their_line(shop):
    load_lines(shop, {"id": 2, "slug": "second"})
    load_lines(shop, {"title": "Removed", "price": 1})
    removed = find_product(shop, "Removed").id
    remove_product(shop, removed)
    good = {"title": "Good", "price": 1}
    plan = {"options": [{"name": "Size", "values": ["S"]}]}
    plan["variants"] = [{"options": {"Size": "S"}, "price": 1}]
    cases = [
        ([good, {"id": 1, "slug": "second"}], [("row 2", "slug", "Product 2 has or had this slug.")]),
        ([{"id": 1, "slug": "thing-2"}], [("row 1", "slug", "Product 2 has or had this slug.")]),
        ([{**good, "slug": "thing-1"}], [("row 1", "slug", "Product 1 has or had this slug.")]),
        ([{**plan, "title": "X", "slug": "thing-1"}], [("row 1", "slug", "Product 1 has or had this slug.")]),
        ([{**good, "slug": "removed"}], [("row 1", "slug", f"Product {removed} has or had this slug.")]),
        # No other request may see two products with the same slug, so two products cannot swap theirs.
        (
            [{"id": 1, "slug": "second"}, {"id": 2, "slug": "thing-1"}],
            [
                ("row 1", "slug", "Product 2 has or had this slug."),
                ("row 2", "slug", "Product 1 has or had this slug."),
            ],
        ),
        (
            [{"id": 1, "slug": "x"}, {**good, "slug": "x"}, {**plan, "title": "X", "slug": "x"}],
            [
                ("row 2", "slug", "Row 1 has the same slug."),
                ("row 3", "slug", "Row 1 has the same slug."),
            ],
        ),
    ]
    before = export_lines(shop)
    wrong = [(file, found) for file, expected in cases if (found := refuse(shop, *file)) != expected]
    assert wrong == []
    for slug in ("Tea", "tea pot", "-tea", "tea/pot", "té", 5, None, "x" * 101):
        assert [problem[:2] for problem in refuse(shop, {"id": 1, "slug": slug})] == [("row 1", "slug")]
    assert [problem[:2] for problem in refuse(shop, "id,slug\n1,Tea Pot\n")] == [("row 2", "slug")]
    assert export_lines(shop) == before


def test_a_slug_of_the_file_goes_before_one_that_the_shop_makes_of_a_title(shop, monkeypatch):
    monkeypatch.setattr(imports, "BATCH", 1)
    options = {"options": [{"name": "Size", "values": ["S"]}]}
    variants = {"variants": [{"options": {"Size": "S"}, "price": 1}]}
    lines = [
        {"title": "Mug", "price": 1},
        {"title": "Cup", "price": 1},
        {"title": "Tall mug", "slug": "mug", "price": 1},
        {"title": "Tall cup", "slug": "cup", **options, **variants},
        {"id": 1, "slug": "bowl"},
        {"title": "Bowl", "price": 1},
    ]
    done = load_lines(shop, *lines)
    assert (done.added, done.changed) == (5, 1)
    assert list_slugs(shop) == {
        "Thing 1": "bowl",
        "Thing 2": "thing-2",
        "Mug": "mug-2",
        "Cup": "cup-2",
        "Tall mug": "mug",
        "Tall cup": "cup",
        "Bowl": "bowl-2",
    }
    assert list_former(shop) == {"thing-1": "Thing 1"}


def test_a_slug_that_another_request_takes_during_an_import_ends_it(shop):
    lines = b'{"title": "Bowl", "price": 1, "slug": "bowl-of-ours"}\n'
    steps = import_products(shop, io.BytesIO(lines), "USD")
    next(steps)
    with shop.transaction() as connection:
        query = "INSERT INTO product_slugs (slug, product_id, is_current) VALUES ('bowl-of-ours', 2, false)"
        connection.execute(text(query))
    with pytest.raises(SlugTaken, match="bowl-of-ours") as refusal:
        list(steps)
    assert refusal.value.extra == {"product_id": 2}
    assert "Bowl" not in list_slugs(shop)


def test_a_file_without_slugs_takes_none_back(shop):
    load_lines(shop, {"title": "Mug", "price": 1})
    load_lines(shop, {"title": "Mug", "price": 1, "sku": "MUG-2"})
    with shop.transaction() as connection:
        slugs = connection.execute(text("SELECT slug FROM product_slugs ORDER BY product_id")).scalars().all()
    assert slugs == ["thing-1", "thing-2", "mug", "mug-2"]
