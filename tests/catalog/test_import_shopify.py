"""Shopify's product CSV."""

import re

import pytest

from catalog.repository.slugs import find_owner
from catalog.schemas.shopify import COLUMNS, to_plain_text, to_slug
from catalog.use_cases.admin import export_products, remove_product
from tests.catalog.fake_source import copy_stock
from tests.catalog.product_files import (
    export_lines,
    find_product,
    load_lines,
    load_table,
    read_variants,
    refuse,
    write_table,
)

OTHERS = ("Tags", "Option1 Linked To", "Variant Barcode", "Gift Card", "SEO Title")
HEADER = [*COLUMNS, *OTHERS]


def line(**cells):
    """Return a line with these cells, whose columns are named as in Python: Option1_Name."""
    named = {name.replace("_", " "): cell for name, cell in cells.items()}
    named = {"Body (HTML)": named.pop("Body", ""), **named}
    assert set(named) <= set(HEADER)
    return [named.get(name, "") for name in HEADER]


MUG = line(
    Handle="mug",
    Title="Mug",
    Body="<p>Made by <b>hand</b>.</p><ul><li>350&nbsp;ml</li><li>Fired &amp; glazed</li></ul>",
    Vendor="Loam",
    Product_Category="Home &amp; Garden > Kitchen",
    Type="Tableware",
    Published="true",
    Option1_Name="Title",
    Option1_Value="Default Title",
    Variant_SKU="MUG-1",
    Variant_Grams="410.0",
    Variant_Inventory_Qty="12",
    Variant_Price="14.50",
    Variant_Compare_At_Price="18.00",
    Image_Src="https://pictures.example/front.jpg",
    Image_Position="2",
    Image_Alt_Text="Seen from\n the front",
    Status="active",
)
MUG_PICTURE = line(Handle="mug", Image_Src="https://pictures.example/side.jpg", Image_Position="1")
SHIRT = [
    line(
        Handle="shirt",
        Title="Shirt",
        Published="TRUE",
        Status="active",
        Option1_Name="Size",
        Option1_Value="S",
        Option2_Name="Colour",
        Option2_Value="Blue",
        Variant_SKU="SHIRT-S",
        Variant_Price="20",
        Variant_Inventory_Qty="-3",
        Image_Src="https://pictures.example/shirt.jpg",
    ),
    line(
        Handle="shirt", Option1_Value="M", Option2_Value="Blue", Variant_SKU="SHIRT-M", Variant_Price="21.00"
    ),
    line(Handle="shirt", Option1_Value="L", Option2_Value="Blue", Variant_Price="22"),
    line(Handle="shirt", Image_Src="https://pictures.example/back.jpg"),
]


@pytest.fixture
def shop(database):
    copy_stock(database, {1: 1})
    return database


def to_table(*lines):
    return write_table([HEADER, *lines])


def test_products_are_imported_with_their_variants_and_pictures(shop):
    done = load_table(shop, to_table(MUG, MUG_PICTURE, *SHIRT))
    assert (done.rows, done.added, done.changed) == (6, 2, 0)
    assert done.notes.ignored_columns == list(OTHERS)
    mug = find_product(shop, "Mug")
    assert (mug.brand, mug.category, mug.is_plain, mug.options) == ("Loam", "Tableware", True, ())
    assert mug.description == "Made by hand.\n\n- 350 ml\n- Fired & glazed"
    assert mug.images == ["https://pictures.example/side.jpg", "https://pictures.example/front.jpg"]
    assert (mug.slug, mug.image_alts) == ("mug", ["", "Seen from the front"])
    (only,) = mug.variants
    assert (only.sku, only.unit_amount, only.compare_at_amount) == ("MUG-1", 1450, 1800)
    assert (only.weight_grams, only.on_hand) == (410, 12)
    shirt = find_product(shop, "Shirt")
    assert [(each.title, each.unit_amount, each.on_hand) for each in shirt.variants] == [
        ("S / Blue", 2000, 0),
        ("M / Blue", 2100, 0),
        ("L / Blue", 2200, 0),
    ]
    assert shirt.variants[2].sku == f"P-{shirt.variants[2].id}"
    assert shirt.images == ["https://pictures.example/shirt.jpg", "https://pictures.example/back.jpg"]
    before = export_lines(shop)
    again = load_table(shop, to_table(MUG, MUG_PICTURE, *SHIRT))
    assert (again.added, again.changed) == (0, 0)
    assert export_lines(shop) == before


def without_skus(*lines):
    place = HEADER.index("Variant SKU")
    return [[*each[:place], "", *each[place + 1 :]] for each in lines]


NAMELESS = without_skus(MUG, MUG_PICTURE, *SHIRT)


def test_a_file_without_skus_that_is_imported_again_changes_nothing(shop):
    assert load_table(shop, to_table(*NAMELESS)).added == 2
    before = export_lines(shop)
    for file in (NAMELESS, [*NAMELESS[2:], *NAMELESS[:2]]):
        again = load_table(shop, to_table(*file))
        assert (again.rows, again.added, again.changed) == (6, 0, 0)
    assert export_lines(shop) == before


def test_a_changed_file_without_skus_changes_its_products(shop):
    load_table(shop, to_table(*NAMELESS))
    dearer = [[cell.replace("21.00", "23.50").replace("14.50", "16") for cell in each] for each in NAMELESS]
    green = line(Handle="shirt", Option1_Value="S", Option2_Value="Green", Variant_Price="24")
    done = load_table(shop, to_table(*dearer, green))
    assert (done.added, done.changed) == (0, 2)
    assert [each.unit_amount for each in find_product(shop, "Mug").variants] == [1600]
    assert [(each.title, each.unit_amount) for each in find_product(shop, "Shirt").variants] == [
        ("S / Blue", 2000),
        ("M / Blue", 2350),
        ("L / Blue", 2200),
        ("S / Green", 2400),
    ]
    # A line of its own is enough for a variant.
    named = {"Option1_Name": "Size", "Option2_Name": "Colour"}
    single = line(Handle="shirt", Option1_Value="M", Option2_Value="Blue", Variant_Price="5", **named)
    assert load_table(shop, to_table(single)).changed == 1
    assert read_variants(shop, find_product(shop, "Shirt").id)[1].unit_amount == 500


def test_products_are_recognized_when_the_shop_or_the_file_has_given_them_skus(shop):
    load_table(shop, to_table(*NAMELESS))
    # The shop has.
    mug, shirt = find_product(shop, "Mug"), find_product(shop, "Shirt")
    given = [{"id": mug.id, "sku": "OUR-MUG", "slug": "our-mug"}]
    given += [{"id": shirt.id, "variants": [{"id": shirt.variants[1].id, "sku": "OUR-SHIRT-M"}]}]
    assert load_lines(shop, *given).changed == 2
    before = export_lines(shop)
    done = load_table(shop, to_table(*NAMELESS))
    assert (done.added, done.changed) == (0, 0)
    assert export_lines(shop) == before
    # The file has.
    done = load_table(shop, to_table(MUG, MUG_PICTURE, *SHIRT))
    assert (done.added, done.changed) == (0, 2)
    assert [each.sku for each in find_product(shop, "Mug").variants] == ["MUG-1"]
    assert [each.sku for each in find_product(shop, "Shirt").variants][:2] == ["SHIRT-S", "SHIRT-M"]
    # An admin's slug stays, and the one of before still finds the product.
    assert find_product(shop, "Mug").slug == "our-mug"


def test_a_sku_goes_before_the_handle(shop):
    load_lines(shop, {"title": "Shirt", "price": 2})
    load_lines(shop, {"sku": "SHIRT-S", "title": "Old shirt", "price": 1})
    assert find_product(shop, "Shirt").slug == "shirt"
    options = [line(Handle="shirt", Option1_Value="M", Option2_Value="Blue", Variant_Price="3")]
    done = load_table(shop, to_table(SHIRT[0], *options))
    assert (done.added, done.changed) == (0, 1)
    found = [(product.slug, len(product.variants)) for product in export_products(shop) if product.id > 1]
    assert found == [("shirt", 1), ("old-shirt", 2)]


def test_a_handle_is_not_for_a_product_of_the_source(shop):
    thing = line(Handle="thing-1", Title="Other thing", Variant_Price="7")
    assert load_table(shop, to_table(thing)).added == 1
    again = load_table(shop, to_table(thing))
    assert (again.added, again.changed) == (0, 0)
    assert find_product(shop, "Thing 1").version == 1
    assert re.fullmatch(r"thing-1-[0-9a-f]{12}", find_product(shop, "Other thing").slug)


def test_a_product_that_an_admin_removed_is_added_again_and_found_from_then_on(shop):
    load_table(shop, to_table(*NAMELESS))
    for _turn in range(2):
        removed = find_product(shop, "Mug").id
        remove_product(shop, removed)
        assert load_table(shop, to_table(*NAMELESS)).added == 1
        assert load_table(shop, to_table(*NAMELESS)).added == 0
        mug = find_product(shop, "Mug")
        assert (mug.slug, mug.id > removed) == ("mug", True)
        with shop.transaction() as connection:
            assert find_owner(connection, "mug") == mug.id


def test_each_handle_has_a_slug_of_its_own(shop):
    handles = [
        "mug",
        "mug-",
        "mug_2",
        "mug-2",
        "кружка",
        "カップ",
        "カップ-2",
        "🫖",
        "tasse-à-thé",
        "tasse-a-the",
    ]
    handles += ["x" * 100, "x" * 101, "x" * 102, "-", "\ud800", "i" * 90]
    slugs = [to_slug(handle) for handle in handles]
    assert len({*slugs}) == len(handles)
    assert [
        slug for slug in slugs if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug) or len(slug) > 100
    ] == []
    kept = {"mug", "mug-2", "tasse-a-the", "x" * 100, "i" * 90}
    assert {handle for handle, slug in zip(handles, slugs, strict=True) if slug == handle} == kept
    assert to_slug(" Mug ") == "mug"
    stored = [each for each in handles if each != "\ud800"]
    lines = [
        line(Handle=each, Title=f"Title {number}", Variant_Price="1") for number, each in enumerate(stored)
    ]
    assert load_table(shop, to_table(*lines)).added == len(stored)
    done = load_table(shop, to_table(*lines))
    assert (done.added, done.changed) == (0, 0)


def test_products_that_are_not_for_sale_are_reported_and_left_out(shop):
    lines = [
        line(Handle="one", Title="One", Variant_Price="1", Status="draft"),
        line(Handle="one", Option1_Value="M", Variant_Price="1"),
        line(Handle="two", Title="Two", Variant_Price="1", Status="archived"),
        line(Handle="three", Title="Three", Variant_Price="1", Published="FALSE"),
        MUG,
    ]
    done = load_table(shop, to_table(*lines))
    assert (done.rows, done.added) == (5, 1)
    assert [(each["location"], each["field"], each["detail"]) for each in done.notes.left_out] == [
        ("row 2", "Status", "The product one is draft."),
        ("row 4", "Status", "The product two is archived."),
        ("row 5", "Published", "The product three is not published."),
    ]
    assert done.notes.left_out_count == 3


def test_lines_that_make_no_product_are_refused_with_the_row(shop):
    cases = [
        ([line(Title="No handle", Variant_Price="1")], ("row 2", "Handle", "Required.")),
        ([MUG_PICTURE], ("row 2", "Variant Price", "The product has no line with a price.")),
        (
            [line(Handle="x", Title="X", Variant_SKU="X-1")],
            ("row 2", "unit_amount", "Required for a new product."),
        ),
        ([line(Handle="x", Variant_Price="1")], ("row 2", "title", "Required for a new product.")),
        (
            [*SHIRT[:1], line(Handle="shirt", Option1_Value="S", Option2_Value="Blue", Variant_Price="1")],
            ("row 3", "options", "Row 2 has the same options."),
        ),
        (
            [*SHIRT[:1], line(Handle="shirt", Option1_Value="M", Variant_Price="1")],
            ("row 3", "option_values.Colour", "Value should have at least 1 item"),
        ),
        ([MUG, *SHIRT[:1], MUG], ("row 4", "options", "The product has several lines")),
        ([line(Handle="x", Title="X", Variant_Price="1.999,00")], ("row 2", "Variant Price", "")),
        ([line(Handle="x", Title="X", Variant_Price="1.0005")], ("row 2", "Variant Price", "It has more")),
        ([line(Handle="x", Title="X" * 501, Variant_Price="1")], ("row 2", "title", "")),
        (
            [MUG, line(Handle="mug", Image_Src="/b.jpg", Image_Alt_Text="x" * 301)],
            ("row 3", "Image Alt Text", "It has more than 300 characters."),
        ),
    ]
    wrong = []
    for lines, expected in cases:
        found = refuse(shop, to_table(*lines))[0]
        if found[:2] != expected[:2] or not found[2].startswith(expected[2]):
            wrong.append((lines[-1][:3], found))
    assert wrong == []


def test_html_becomes_plain_text():
    cases = {
        "plain": "plain",
        "<p>One</p><p>Two</p>": "One\n\nTwo",
        "a<br>b<br/>c": "a\nb\nc",
        "  many \n\t spaces ": "many spaces",
        "<style>p {}</style><script>alert(1)</script>Text": "Text",
        "&lt;b&gt; &euro; &#x1F375;": "<b> € 🍵",
        "<h2>Head</h2>Text": "Head\n\nText",
        "<table><tr><td>a</td></tr><tr><td>b</td></tr></table>": "a\nb",
        "<tr><td>a</td><td>b</td></tr>": "a b",
        "<p>open <b>tags": "open tags",
        "1 < 2 & 3": "1 < 2 & 3",
        "": "",
    }
    assert {html: to_plain_text(html) for html in cases} == cases
