"""Variants that a product source delivers."""

import pytest
from sqlalchemy import text

from catalog.sources import Page, to_offer
from catalog.use_cases.admin import change_product
from catalog.use_cases.source import copy_source
from catalog.use_cases.sync import read_last_sync
from catalog.use_cases.variants import add_variant, change_variant, count_stock, withdraw_variant
from catalog.variants import NewVariant
from tests.catalog.fake_source import FakeSource, reserve
from tests.catalog.upstreams import execute

# Without `removed_at`, which is infinite for further variants.
COLUMNS = (
    "id, parent_id, sku, unit_amount, withdrawn_at, variant_title, option_values, options, weight_grams,"
    " compare_at_amount, on_hand, reserved, shortfall, source_on_hand, further_variants, version, edited"
)
SIZES = [{"name": "Size", "values": ["S", "M", "L"]}]


class ShirtSource(FakeSource):
    """A source with the products that a test gives it."""

    def __init__(self, *products):
        super().__init__({})
        self.products = list(products)

    def read_pages(self, _find_known, *, is_probe):  # noqa: ARG002  # As in Source.
        yield Page(0, 100, self.products, len(self.products))


def make_variant(size, **changes):
    return {"sku": f"T-{size}", "options": {"Size": size}, "price": 20, "stock": 5} | changes


def make_shirt(*variants, **changes):
    shirt = {"id": 1, "title": "Shirt", "price": 20, "sku": "T", "stock": 99, "options": SIZES}
    return shirt | {"variants": list(variants)} | changes


def copy_shirts(database, *products, overwrite=False):
    """Copy a source with these products; return the report."""
    if overwrite:
        execute(database, "UPDATE source_copy SET overwrite = true")
    assert copy_source(database, ShirtSource(*products), "USD")
    return read_last_sync(database)


def read_rows(database, product_id=1):
    """Return the rows of a product by SKU, withdrawn ones too."""
    with database.transaction() as connection:
        query = text(f"SELECT {COLUMNS} FROM products WHERE :id IN (id, parent_id) ORDER BY id")
        return {row.sku: row for row in connection.execute(query, {"id": product_id})}


def list_sold(database, product_id=1):
    """Return the title and the price of each variant for sale, by SKU."""
    rows = read_rows(database, product_id).values()
    return {row.sku: (row.variant_title, row.unit_amount) for row in rows if row.withdrawn_at is None}


THREE = [
    make_variant("S"),
    make_variant("M", price=22, weight_grams=180),
    make_variant("L", compare_at_price=30),
]


def test_a_product_is_sold_in_the_variants_of_its_source(database):
    report = copy_shirts(database, make_shirt(*THREE))
    assert (report.added, report.changed, report.adjusted) == (1, 0, [])
    assert list_sold(database) == {"T-S": ("S", 2000), "T-M": ("M", 2200), "T-L": ("L", 2000)}
    rows = read_rows(database)
    assert (rows["T-S"].id, rows["T-S"].options) == (1, SIZES)
    assert {row.parent_id for sku, row in rows.items() if sku != "T-S"} == {1}
    assert (rows["T-M"].weight_grams, rows["T-L"].compare_at_amount) == (180, 3000)
    assert [row.on_hand for row in rows.values()] == [5, 5, 5]
    assert rows["T-S"].further_variants == 2


def test_a_second_copy_of_the_same_variants_writes_no_row(database):
    copy_shirts(database, make_shirt(*THREE), make_shirt(id=2, sku="U", variants=None, options=None))
    before = execute(database, "SELECT xmin::text, to_jsonb(products)::text FROM products ORDER BY id").all()
    report = copy_shirts(database, make_shirt(*THREE), make_shirt(id=2, sku="U", variants=None, options=None))
    assert (report.added, report.changed) == (0, 0)
    assert (
        execute(database, "SELECT xmin::text, to_jsonb(products)::text FROM products ORDER BY id").all()
        == before
    )


def test_a_copy_follows_prices_orders_and_ends_of_variants_and_keeps_their_numbers(database):
    copy_shirts(database, make_shirt(*THREE))
    numbers = {sku: row.id for sku, row in read_rows(database).items()}
    # The source sorts its variants differently, ends one and begins another.
    options = [{"name": "Size", "values": ["XL", "L", "S"]}]
    report = copy_shirts(
        database,
        make_shirt(make_variant("XL"), make_variant("L", price=25), make_variant("S"), options=options),
    )
    assert report.changed == 1
    assert list_sold(database) == {"T-S": ("S", 2000), "T-L": ("L", 2500), "T-XL": ("XL", 2000)}
    copy_shirts(database, make_shirt(*THREE))
    assert {sku: row.id for sku, row in read_rows(database).items() if sku in numbers} == numbers
    assert list_sold(database).keys() == numbers.keys()


def test_a_product_that_loses_or_gets_variants_keeps_its_number(database):
    plain = make_shirt(options=None, variants=None)
    copy_shirts(database, plain)
    assert list_sold(database) == {"T": ("", 2000)}
    copy_shirts(database, make_shirt(*THREE))
    assert (len(list_sold(database)), read_rows(database)["T-S"].id) == (3, 1)
    copy_shirts(database, plain)
    assert list_sold(database) == {"T": ("", 2000)}
    row = read_rows(database)["T"]
    assert (row.options, row.option_values, row.further_variants, row.on_hand) == ([], None, 0, 99)
    # The same variants return to their rows.
    copy_shirts(database, make_shirt(*THREE))
    assert (len(read_rows(database)), len(list_sold(database))) == (3, 3)


def test_the_own_row_is_withdrawn_with_its_variant_and_returns_with_it(database):
    copy_shirts(database, make_shirt(*THREE))
    copy_shirts(database, make_shirt(THREE[1], THREE[2]))
    assert list_sold(database).keys() == {"T-M", "T-L"}
    assert (copy_shirts(database, make_shirt(THREE[1], THREE[2])).changed, len(list_sold(database))) == (0, 2)
    copy_shirts(database, make_shirt(*THREE))
    assert (read_rows(database)["T-S"].id, len(list_sold(database))) == (1, 3)


def test_two_variants_can_swap_their_options(database):
    copy_shirts(database, make_shirt(*THREE))
    swapped = [make_variant("S", options={"Size": "M"}), make_variant("M", options={"Size": "S"}), THREE[2]]
    copy_shirts(database, make_shirt(*swapped))
    assert {sku: title for sku, (title, _price) in list_sold(database).items()} == {
        "T-S": "M",
        "T-M": "S",
        "T-L": "L",
    }


@pytest.mark.parametrize("sku", ["T-S", "T-M"])
def test_the_stock_of_each_variant_moves_by_the_difference_at_the_source(database, sku):
    copy_shirts(database, make_shirt(*THREE))
    first = read_rows(database)[sku]
    order = execute(database, "SELECT gen_random_uuid()").scalar()
    reserve(database, order, {first.id: 4})
    found = []
    for stock in (8, 1, 5):
        report = copy_shirts(database, make_shirt(*[each | {"stock": stock} for each in THREE]))
        row = read_rows(database)[sku]
        found.append((row.on_hand, row.reserved, row.shortfall, row.source_on_hand, report.added))
    assert found == [(8, 4, 0, 8, 0), (4, 4, 3, 1, 0), (5, 4, 0, 5, 0)]
    # A stock count changes no version.
    assert read_rows(database)[sku].version == first.version


def test_edits_of_variants_stay_until_a_copy_overwrites_them(database):
    copy_shirts(database, make_shirt(*THREE))
    rows = read_rows(database)
    medium, large = rows["T-M"].id, rows["T-L"].id
    change_variant(database, 1, medium, 1, {"unit_amount": 999, "sku": "OURS", "weight_grams": 1})
    count_stock(database, 1, medium, 50)
    withdraw_variant(database, 1, large)
    dearer = [each | {"price": 33, "stock": 7} for each in THREE]
    copy_shirts(database, make_shirt(*dearer))
    assert list_sold(database) == {"T-S": ("S", 3300), "OURS": ("M", 999)}
    row = read_rows(database)["OURS"]
    assert (row.id, row.on_hand, row.weight_grams) == (medium, 50, 1)
    copy_shirts(database, make_shirt(*dearer), overwrite=True)
    # As with a product, the end of a sale by an admin stays.
    assert list_sold(database) == {"T-S": ("S", 3300), "T-M": ("M", 3300)}
    assert read_rows(database)["T-M"].weight_grams == 180
    assert copy_shirts(database, make_shirt(*dearer)).changed == 0


def test_variants_that_an_admin_added_stay(database):
    copy_shirts(database, make_shirt(THREE[0], THREE[1]))
    add_variant(database, 1, NewVariant({"sku": "OURS", "unit_amount": 1, "option_values": {"Size": "L"}}, 3))
    report = copy_shirts(database, make_shirt(*THREE))
    assert list_sold(database).keys() == {"T-S", "T-M", "OURS"}
    reason = "T-L is left out: another variant has the same options."
    assert [(each.field, each.reason) for each in report.adjusted] == [("variants", reason)]
    copy_shirts(database, make_shirt(options=None, variants=None))
    # Its option stays, too.
    assert list_sold(database) == {"T": ("S", 2000), "OURS": ("L", 1)}


def test_options_that_an_admin_renamed_stay_and_the_variants_still_follow_prices(database):
    copy_shirts(database, make_shirt(THREE[0], THREE[1]))
    rows = read_rows(database)
    options = [{"name": "Fit", "values": ["small", "middle"]}]
    values = {rows["T-S"].id: {"Fit": "small"}, rows["T-M"].id: {"Fit": "middle"}}
    renamed = to_offer(make_shirt(make_variant("S"), options=SIZES), "USD")[0].options[0]
    renamed = type(renamed)("Fit", ("small", "middle"))
    version = rows["T-S"].version
    change_product(database, 1, version, {}, frozenset(), (renamed,), values)
    report = copy_shirts(database, make_shirt(*[each | {"price": 40} for each in THREE]))
    assert list_sold(database) == {"T-S": ("small", 4000), "T-M": ("middle", 4000)}
    assert read_rows(database)["T-S"].options == options
    assert len(report.adjusted) == 2
    change_product(database, 1, read_rows(database)["T-S"].version, {}, {"options"})
    assert list_sold(database) == {"T-S": ("S", 4000), "T-M": ("M", 4000), "T-L": ("L", 4000)}


def test_a_variant_whose_sku_is_taken_is_left_out(database):
    other = make_shirt(id=2, sku="T-M", options=None, variants=None)
    report = copy_shirts(database, other, make_shirt(*THREE))
    assert list_sold(database).keys() == {"T-S", "T-L"}
    assert [each.reason for each in report.adjusted] == ["T-M is left out: product 2 has this SKU."]


def test_variants_of_another_source_do_not_stay(database):
    copy_shirts(database, make_shirt(*THREE))
    options = {"Size": "S"}
    execute(database, "UPDATE products SET edited = '{withdrawn}', withdrawn_at = now() WHERE id = 1")
    add_variant(database, 1, NewVariant({"unit_amount": 1, "option_values": options}, 3))
    assert copy_source(database, _OtherSource(make_shirt(options=None, variants=None)), "USD")
    assert list_sold(database) == {"T": ("", 2000)}


class _OtherSource(ShirtSource):
    name = "other"


MANY = [make_variant(str(number), options={"Number": str(number)}) for number in range(252)]
WRONG = {
    "not a list": ({"variants": 5}, ["T"], ["Input should be a valid list"]),
    "no SKU": (
        {"variants": [make_variant("S"), {"options": {"Size": "M"}, "price": 1}]},
        ["T-S"],
        ["Variant 2"],
    ),
    "no object": ({"variants": [make_variant("S"), 7]}, ["T-S"], ["Variant 2 is left out"]),
    "a negative price": (
        {"variants": [make_variant("S"), make_variant("M", price=-1)]},
        ["T-S"],
        ["T-M is left"],
    ),
    "a boolean stock": (
        {"variants": [make_variant("S"), make_variant("M", stock=True)]},
        ["T-S"],
        ["T-M is left"],
    ),
    "an invalid weight": ({"variants": [make_variant("S", weight_grams=-3)]}, ["T-S"], ["T-S: weight_grams"]),
    "a repeated SKU": (
        {"variants": [make_variant("S"), make_variant("M", sku="T-S")]},
        ["T-S"],
        ["T-S is left out: an earlier variant has this SKU."],
    ),
    "equal options": (
        {"variants": [make_variant("S"), make_variant("M", options={"Size": "S"})]},
        ["T-S"],
        ["T-M is left out: an earlier variant has the same options."],
    ),
    "a missing value": (
        {"variants": [make_variant("S"), make_variant("M", options={})]},
        ["T-S"],
        ["T-M is left out: Give one value for each of: Size."],
    ),
    "an unknown value": (
        {"variants": [make_variant("S"), make_variant("M", options={"Size": "Q"})]},
        ["T-S"],
        ["T-M is left out: Q is not a value of Size."],
    ),
    "options not declared": ({"options": None, "variants": THREE}, ["T-S", "T-M", "T-L"], []),
    "invalid options": (
        {"options": [{"name": 5}], "variants": THREE},
        ["T-S", "T-M", "T-L"],
        ["The options are"],
    ),
    "too many": (
        {"options": None, "variants": MANY},
        [f"T-{n}" for n in range(250)],
        ["2 variants over 250"],
    ),
    "titles alone": (
        {
            "options": None,
            "variants": [{"sku": "A", "price": 1, "title": "Red"}, {"sku": "B", "price": 2, "title": "Blue"}],
        },
        ["A", "B"],
        [],
    ),
    "neither options nor titles": (
        {"options": None, "variants": [{"sku": "A", "price": 1}, {"sku": "B", "price": 2}]},
        ["A"],
        ["Only A is for sale"],
    ),
    "unknown members": ({"variants": [make_variant("S", barcode="4006381333931")]}, ["T-S"], []),
    "no variant that is valid": ({"variants": [5]}, ["T"], ["Variant 1 is left out"]),
}


def test_an_invalid_variant_is_left_out_with_a_reason_and_does_not_affect_the_others():
    wrong = {}
    for name, (changes, skus, reasons) in WRONG.items():
        offer, adjusted = to_offer(make_shirt(**changes), "USD")
        given = [each.reason for each in adjusted]
        as_expected = len(given) == len(reasons) and all(map(str.startswith, given, reasons))
        if offer.skus != skus or not as_expected:
            wrong[name] = (offer.skus[:5], given)
    assert wrong == {}


def test_variants_with_titles_alone_have_one_option(database):
    titled = [{"sku": "A", "price": 1, "title": "Red"}, {"sku": "B", "price": 2, "title": "Blue"}]
    copy_shirts(database, make_shirt(*titled, options=None))
    assert list_sold(database) == {"A": ("Red", 100), "B": ("Blue", 200)}
    assert read_rows(database)["A"].options == [{"name": "Variant", "values": ["Red", "Blue"]}]


def test_a_page_without_variants_of_the_previous_release_is_requested_again(caching, copy, database):
    copy()
    # That release stored no such member.
    execute(
        database,
        "UPDATE source_pages SET offers = (SELECT jsonb_agg(each - 'variants' - 'options')"
        " FROM jsonb_array_elements(offers) AS each) WHERE skip = 100",
    )
    assert (copy().unchanged_pages, caching.answers[3:]) == (2, [304, 200, 304])
