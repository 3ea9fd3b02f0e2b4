"""The alt texts of images in product files, and the order of the images."""

import json

import pytest
from sqlalchemy import text

from catalog.clients import ImageClient
from catalog.encoder import Encoder, hash_image
from catalog.media import to_url
from catalog.use_cases.fetches import Fetcher
from catalog.use_cases.images import Upload, add_image, sweep_images
from tests.catalog.drawn import draw
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
from tests.catalog.test_image_fetches import ImageHost
from tests.catalog.upstreams import execute, make_product

FRONT, SIDE, BACK = (f"https://pictures.example/{name}.jpg" for name in ("front", "side", "back"))
HOSTILE = ["=1+1", "“Kettle” <b>", "'=quoted", "", "a, b; c", 'said "no"', "é ß 🫖", "-5", ""]


@pytest.fixture
def shop(database):
    copy_stock(database, {1: 1})
    return database


@pytest.fixture
def upload(shop):
    """Store an image of this size for product 1, with an alt text; return its URL."""
    encoder = Encoder()

    def upload(size, alt=""):
        data = draw(size=size)
        add_image(shop, encoder, 1, lambda: Upload(data, alt))
        return to_url(hash_image(data))

    return upload


def read_media(database, product_id=1):
    """Return the alt texts of the stored images by URL, as customers see them."""
    with database.transaction() as connection:
        query = text("SELECT media FROM products WHERE id = :id")
        media = connection.execute(query, {"id": product_id}).scalar_one()
    return {url: entry["alt"] for url, entry in media.items()}


def read_alts(database, title):
    product = find_product(database, title)
    return list(zip(product.images, [*product.image_alts, "", "", ""], strict=False))


def test_images_keep_their_order_and_their_alt_texts_in_both_formats(shop):
    images = [f"https://pictures.example/{9 - number}.jpg" for number in range(len(HOSTILE))]
    options = [{"name": "Size", "values": ["S", "M"]}]
    variants = [{"options": {"Size": size}, "price": 1} for size in "SM"]
    described = {"images": images, "image_alts": HOSTILE}
    lines = [
        {"title": "Plain", "price": 1, **described},
        {"title": "Leading gap", "price": 1, "images": images[:3], "image_alts": [None, "=SUM(A1)", " "]},
        {"title": "With variants", **described, "options": options, "variants": variants},
        {"title": "None", "price": 1, "images": images},
    ]
    assert load_lines(shop, *lines).added == 4
    assert find_product(shop, "Plain").images == images
    assert find_product(shop, "Plain").image_alts == HOSTILE[:-1]
    assert find_product(shop, "With variants").image_alts == HOSTILE[:-1]
    assert find_product(shop, "Leading gap").image_alts == ["", "=SUM(A1)"]
    before, table = export_lines(shop), export_table(shop)
    assert [cell for row in table for cell in row if cell[:1] in {"=", "+", "-", "@"}] == []
    written = write_table(table)
    # A spreadsheet may write the lines of a cell with other ends.
    for file in (
        written,
        written.replace("\r\n", "\n"),
        write_table(table, delimiter=";").replace("\n", "\r\n"),
    ):
        done = load_table(shop, file)
        assert (done.rows, done.added, done.changed) == (6, 0, 0)
    assert load_lines(shop, *map(json.loads, before.splitlines())).changed == 0
    assert export_lines(shop) == before


def test_a_new_alt_text_is_a_change_but_no_new_version(shop):
    load_lines(shop, {"id": 1, "images": [FRONT, SIDE]}, {"title": "Other", "price": 1, "images": [FRONT]})
    options = [{"name": "Size", "values": ["S"]}]
    variants = [{"options": {"Size": "S"}, "price": 1}]
    load_lines(shop, {"title": "Shirt", "images": [BACK], "options": options, "variants": variants})
    shirt = find_product(shop, "Shirt").id
    lines = [{"id": 1, "image_alts": ["", "Side"]}, {"id": shirt, "options": options, "image_alts": ["Back"]}]
    assert load_lines(shop, *lines).changed == 2
    assert load_lines(shop, *lines).changed == 0
    assert read_alts(shop, "Thing 1") == [(FRONT, ""), (SIDE, "Side")]
    assert read_alts(shop, "Shirt") == [(BACK, "Back")]
    assert (find_product(shop, "Thing 1").version, find_product(shop, "Shirt").version) == (2, 1)
    # The alt text belongs to the image of this product.
    assert read_alts(shop, "Other") == [(FRONT, "")]
    # An image takes its text along, and one without a text in the file loses it.
    assert load_lines(shop, {"id": 1, "images": [SIDE, FRONT]}).changed == 1
    assert read_alts(shop, "Thing 1") == [(SIDE, "Side"), (FRONT, "")]
    assert load_lines(shop, {"id": 1, "images": [BACK, SIDE], "image_alts": ["Back"]}).changed == 1
    assert read_alts(shop, "Thing 1") == [(BACK, "Back"), (SIDE, "")]


def test_an_empty_cell_clears_the_alt_texts_in_a_line_with_a_title(shop):
    load_lines(shop, {"id": 1, "images": [FRONT], "image_alts": ["Front"]})
    assert load_table(shop, "id,image_alts\n1,\n").changed == 0
    assert load_table(shop, f"id,title,images\n1,Thing 1,{FRONT}\n").changed == 0
    assert read_alts(shop, "Thing 1") == [(FRONT, "Front")]
    assert load_table(shop, "id,title,image_alts\n1,Thing 1,\n").changed == 1
    assert read_alts(shop, "Thing 1") == [(FRONT, "")]


def test_alt_texts_that_fit_no_image_are_reported_with_their_line(shop):
    load_lines(shop, {"id": 1, "images": [FRONT]})
    options = [{"name": "Size", "values": ["S"]}]
    variants = [{"options": {"Size": "S"}, "price": 1}]
    fewer = "The product has fewer images than alt texts."
    new = {"title": "New", "price": 1}
    cases = [
        ({"id": 1, "image_alts": ["a", "b"]}, ("row 1", "image_alts", fewer)),
        ({"id": 1, "image_alts": ["a"], "images": []}, ("row 1", "image_alts", fewer)),
        ({**new, "image_alts": ["a"]}, ("row 1", "image_alts", fewer)),
        ({**new, "images": [SIDE], "image_alts": ["a", "b"]}, ("row 1", "image_alts", fewer)),
        (
            {"title": "X", "options": options, "variants": variants, "image_alts": ["a"]},
            ("row 1", "image_alts", fewer),
        ),
        ({**new, "images": [SIDE], "image_alts": ["x" * 301]}, ("row 1", "image_alts.0", None)),
        ({**new, "images": [SIDE], "image_alts": ["x\ny"]}, ("row 1", "image_alts.0", None)),
        ({**new, "images": [SIDE], "image_alts": "a"}, ("row 1", "image_alts", None)),
        ({**new, "images": [SIDE, SIDE], "image_alts": ["a", "b"]}, ("row 1", "", None)),
    ]
    wrong = []
    for line, expected in cases:
        [found] = refuse(shop, line)
        if found[:2] != expected[:2] or expected[2] not in {None, found[2]}:
            wrong.append((line, found))
    assert wrong == []
    # Two lines of a product may have the images and the texts.
    load_lines(shop, {"title": "Mug", "options": options, "variants": variants})
    mug = find_product(shop, "Mug").id
    table = f"id,variant_id,option1_name,option1_value,images,image_alts,price\n{mug},{mug},,,,Front,\n"
    assert refuse(shop, table) == [("row 2", "image_alts", fewer)]
    assert load_table(shop, f"{table}{mug},,Size,M,{FRONT},,1\n").changed == 1
    assert read_alts(shop, "Mug") == [(FRONT, "Front")]


def test_the_alt_text_of_a_stored_image_is_shown_to_customers(shop, upload):
    first, second = upload((20, 10), "First"), upload((10, 20))
    assert find_product(shop, "Thing 1").image_alts == ["First"]
    assert load_lines(shop, {"id": 1, "image_alts": ["Before", "Behind"]}).changed == 1
    assert read_media(shop) == {first: "Before", second: "Behind"}
    # Another product may name the same file.
    load_lines(shop, {"title": "Copy", "price": 1, "images": [second], "image_alts": ["Copied"]})
    assert read_media(shop, find_product(shop, "Copy").id) == {second: "Copied"}
    assert read_media(shop) == {first: "Before", second: "Behind"}


def test_an_image_that_was_described_before_it_is_uploaded_is_stored(shop, upload):
    url = to_url(hash_image(draw(size=(20, 10))))
    load_lines(shop, {"id": 1, "images": [url], "image_alts": ["Before"]})
    assert read_media(shop) == {}
    assert upload((20, 10), "After") == url
    assert read_media(shop) == {url: "After"}


def test_an_image_of_the_source_is_fetched_also_if_a_file_described_it_first(fake_server, database, copy):
    host = ImageHost(fake_server)
    urls = [f"{host.url}/a.png", f"{host.url}/b.png"]
    host.products = [make_product(1, images=urls), make_product(2, images=urls[:1])]
    host.files = {"/a.png": (200, draw(size=(30, 20))), "/b.png": (200, draw(size=(20, 20)))}
    copy()
    load_lines(
        database,
        {"id": 1, "image_alts": ["Front", "Side"]},
        # The same image of a product that no source has.
        {"title": "Own", "price": 1, "images": urls[:1], "image_alts": ["Ours"]},
    )
    fetcher = Fetcher(database, ImageClient(host.url), Encoder(), lambda: False)
    assert fetcher.fetch_images() == 2
    assert read_media(database, 1) == {urls[0]: "Front", urls[1]: "Side"}
    assert read_media(database, 2) == {urls[0]: ""}
    # A product may name an image of the source by the URL of its file.
    own = [to_url(hash_image(host.files[path][1])) for path in ("/b.png", "/a.png")]
    assert load_lines(database, {"id": 1, "images": own, "image_alts": ["Side", "Face"]}).changed == 1
    assert read_media(database, 1) == {urls[0]: "Face", urls[1]: "Side"}
    assert find_product(database, "Thing 1").image_alts == ["Side", "Face"]


def test_a_described_image_that_its_product_no_longer_names_is_forgotten(shop):
    load_lines(shop, {"id": 1, "images": [FRONT, SIDE], "image_alts": ["Front", "Side"]})
    load_lines(shop, {"id": 1, "images": [SIDE]})
    execute(shop, "UPDATE product_images SET created_at = now() - interval '2 days'")
    sweep_images(shop)
    assert execute(shop, "SELECT url, alt FROM product_images").all() == [(SIDE, "Side")]
