"""Imports of products with options: which variants a file adds and changes, and which files are refused."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from catalog.use_cases.variants import change_variant, withdraw_variant
from shared.database import connect
from tests.catalog.fake_source import copy_stock, reserve
from tests.catalog.product_files import (
    export_lines,
    export_table,
    find_product,
    load_lines,
    load_table,
    read_variants,
    refuse,
    write_table,
)

SHIRT = {
    "title": "Shirt",
    "category": "clothes",
    "brand": "Loom",
    "tax_class": "reduced",
    "metadata": {"material": "linen", "washable": True, "threads": 120.5},
    "options": [{"name": "Size", "values": ["S", "M", "L"]}, {"name": "Colour", "values": ["Blue", "Red"]}],
    "variants": [
        {"sku": "SHIRT-S", "options": {"Size": "S", "Colour": "Red"}, "unit_amount": 2000, "on_hand": 3},
        {
            "sku": "SHIRT-M",
            "options": {"Size": "M", "Colour": "Red"},
            "price": 21.5,
            "compare_at_amount": 3000,
            "weight_grams": 220,
            "low_stock_threshold": 2,
            "metadata": {"fit": "slim"},
        },
    ],
}
TABLE = (
    "handle,title,option1_name,option1_value,sku,price,on_hand\r\n"
    "mug,Mug,Size,Small,MUG-S,12.50,4\r\n"
    "mug,,Size,Large,MUG-L,15,6\r\n"
)


@pytest.fixture
def shirt(database):
    """The id of a product with two variants."""
    copy_stock(database, {1: 5})
    assert load_lines(database, SHIRT).added == 1
    return find_product(database, "Shirt").id


def list_states(database):
    """Return each sold variant as (title, sku, price, units)."""
    query = """
        SELECT variant.variant_title, variant.sku, variant.unit_amount, variant.on_hand
        FROM products AS variant
            JOIN products AS parent ON parent.id = coalesce(variant.parent_id, variant.id)
        WHERE parent.removed_at IS NULL AND variant.withdrawn_at IS NULL ORDER BY variant.id
    """
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def read_versions(database, *ids):
    with database.transaction() as connection:
        rows = connection.execute(
            text("SELECT version FROM products WHERE id = ANY (:ids) ORDER BY id"), {"ids": list(ids)}
        )
        return [row.version for row in rows]


def test_lines_of_json_and_of_csv_add_products_with_their_variants(database, shirt):
    assert load_table(database, TABLE).added == 1
    assert list_states(database)[1:] == [
        ("S / Red", "SHIRT-S", 2000, 3),
        ("M / Red", "SHIRT-M", 2150, 0),
        ("Small", "MUG-S", 1250, 4),
        ("Large", "MUG-L", 1500, 6),
    ]
    first, second = read_variants(database, shirt)
    assert (first.id, second.parent_id) == (shirt, shirt)
    assert (second.compare_at_amount, second.weight_grams, second.low_stock_threshold) == (3000, 220, 2)
    assert second.metadata == {"fit": "slim"}


def test_an_export_with_variants_that_is_imported_again_changes_nothing(database, shirt):
    load_table(database, TABLE)
    _first, second = read_variants(database, find_product(database, "Mug").id)
    withdraw_variant(database, second.product_id, second.product_id)
    before = export_lines(database)
    done = load_lines(database, *map(json.loads, before.splitlines()))
    assert (done.rows, done.added, done.changed) == (3, 0, 0)
    done = load_table(database, write_table(export_table(database)))
    assert (done.rows, done.added, done.changed) == (4, 0, 0)
    assert export_lines(database) == before


def test_a_price_list_by_sku_changes_single_variants_and_the_version_of_their_product(database, shirt):
    first, second = read_variants(database, shirt)
    done = load_table(database, "SKU;Price\r\nSHIRT-M;19,90\r\nP-1;4,00\r\n")
    assert (done.added, done.changed) == (0, 2)
    assert [variant.unit_amount for variant in read_variants(database, shirt)] == [2000, 1990]
    assert read_versions(database, 1, first.id, second.id) == [2, 2, 2]
    # The price alone is marked as edited, and only on the variant.
    with database.transaction() as connection:
        edits = connection.execute(text("SELECT edited FROM products WHERE id = 1")).scalar_one()
    assert edits == ["unit_amount"]
    done = load_lines(database, {"sku": "SHIRT-S", "unit_amount": 1}, {"sku": "SHIRT-M", "unit_amount": 2})
    assert (done.rows, done.changed) == (2, 1)
    assert [variant.unit_amount for variant in read_variants(database, shirt)] == [1, 2]


def test_a_count_of_a_variant_keeps_held_units_and_raises_no_version(database, shirt):
    _first, second = read_variants(database, shirt)
    load_lines(database, {"sku": "SHIRT-M", "on_hand": 5})
    reserve(database, uuid4(), {second.id: 3})
    assert refuse(database, {"sku": "SHIRT-M", "on_hand": 2}) == [
        ("row 1", "on_hand", "3 units are held for orders.")
    ]
    assert load_lines(database, {"sku": "SHIRT-M", "on_hand": 4}).changed == 1
    counted = read_variants(database, shirt)[1]
    assert (counted.on_hand, counted.reserved, counted.version) == (4, 3, 1)


def test_new_option_values_of_a_file_add_variants_and_keep_the_order_of_the_known_ones(database, shirt):
    table = (
        "id,option1_name,option1_value,option2_name,option2_value,unit_amount\n"
        f"{shirt},Size,XL,Colour,Red,2300\n"
        f"{shirt},Colour,Red,Size,M,2200\n"
    )
    done = load_table(database, table)
    assert (done.added, done.changed) == (0, 1)
    product = find_product(database, "Shirt")
    assert [option.values for option in product.options] == [("S", "M", "L", "XL"), ("Blue", "Red")]
    found = [(variant.title, variant.sku, variant.unit_amount) for variant in product.variants]
    assert found[:2] == [("S / Red", "SHIRT-S", 2000), ("M / Red", "SHIRT-M", 2200)]
    assert found[2] == ("XL / Red", f"P-{product.variants[2].id}", 2300)


def test_a_product_with_one_variant_gets_options_from_a_file(database, shirt):
    table = "id,variant_id,option1_name,option1_value,price\n1,1,Size,S,5\n1,,Size,M,6\n"
    assert load_table(database, table).changed == 1
    first, second = read_variants(database, 1)
    assert (first.id, first.title, first.unit_amount, second.title) == (1, "S", 500, "M")


def test_two_variants_can_swap_their_options_and_their_skus_in_one_file(database, shirt):
    first, second = read_variants(database, shirt)
    swapped = [
        {"id": first.id, "sku": "SHIRT-M", "options": second.option_values},
        {"id": second.id, "sku": "SHIRT-S", "options": first.option_values},
    ]
    assert load_lines(database, {"id": shirt, "variants": swapped}).changed == 1
    found = [(variant.title, variant.sku) for variant in read_variants(database, shirt)]
    assert found == [("M / Red", "SHIRT-M"), ("S / Red", "SHIRT-S")]


def test_a_sku_moves_between_products_only_if_its_owner_gives_it_away_in_the_same_file(database, shirt):
    assert refuse(database, {"id": 1, "sku": "SHIRT-M"}) == [
        ("row 1", "sku", f"Product {shirt} has this SKU.")
    ]
    _first, second = read_variants(database, shirt)
    given = {"id": second.id, "sku": "SHIRT-MEDIUM"}
    assert load_lines(database, {"id": 1, "sku": "SHIRT-M"}, {"id": shirt, "variants": [given]}).changed == 2
    assert find_product(database, "Thing 1").variants[0].sku == "SHIRT-M"


def test_a_file_that_contradicts_the_options_of_a_product_is_refused_with_the_row(database, shirt):
    first, second = read_variants(database, shirt)
    several = "The product has several variants; give the variant_id, the SKU or the options of one."
    head = "handle,title,sku,price,option1_name,option1_value\n"
    red = {"Size": "S", "Colour": "Red"}
    cases = [
        # Two lines with the same options.
        (
            head + "x,X,A,1,Size,S\nx,,B,2,Size,S\n",
            [("row 3", "options", "Row 2 has the same options.")],
        ),
        # An ERP's variants, which have no options.
        (
            "handle,title,sku,price\nx,X,A,1\nx,X,B,2\n",
            [
                (
                    "row 3",
                    "options",
                    "The product has several lines; give each a value for each of its options.",
                )
            ],
        ),
        (
            head + "x,X,A,1,Size,S\nx,,B,2,,\n",
            [("row 3", "options", "Give the variant a value for each option of the product.")],
        ),
        (
            head + "x,X,A,1,Size,S\nx,Y,B,2,Size,M\n",
            [("row 3", "title", "It differs from row 2 of the same product.")],
        ),
        (head + "x,X,A,1,Size,S\nx,,B,,Size,M\n", [("row 3", "unit_amount", "Required for a new product.")]),
        (head + "x,,A,1,Size,S\nx,,B,1,Size,M\n", [("row 2", "title", "Required for a new product.")]),
        (head + "x,X,A,1,Size,S\nx,,A,1,Size,M\n", [("row 3", "sku", "Row 2 has the same SKU.")]),
        (head + "x,X,A,1,Size,s\nx,,B,1,Size,S\n", [("row 2", "options", "Value error, S is there twice")]),
        (head + "x,X,A,1,Size,\n", [("row 2", "option1_value", "An option needs a name and a value.")]),
        # A line of a variant without the options of its product.
        ([{"id": shirt, "unit_amount": 5}], [("row 1", "variant_id", several)]),
        ([{"id": shirt, "variants": [{"unit_amount": 5}]}], [("row 1", "variant_id", several)]),
        (
            [{"id": shirt, "variants": [{"options": {"Size": "S"}, "unit_amount": 5}]}],
            [("row 1", "options", "Give one value for each of: Size, Colour.")],
        ),
        (
            [{"id": shirt, "variants": [{"id": 1, "unit_amount": 5}]}],
            [("row 1", "variant_id", "The product has no variant with this id.")],
        ),
        (
            [{"id": shirt, "variants": [{"id": second.id, "options": red}]}],
            [("row 1", "options", f"Variant {first.id} has the same options.")],
        ),
        (
            [{"id": shirt, "options": []}],
            [("row 1", "options", f"Variant {first.id}: The product has no options.")],
        ),
        ([{"id": second.id, "title": "X"}], [("row 1", "id", "No product for sale has this id.")]),
        (
            [{"id": shirt, "version": 7, "title": "X"}],
            [("row 1", "version", "The product is at version 1 now.")],
        ),
        (
            [{"id": shirt, "variants": [{"id": second.id, "version": 7}]}],
            [("row 1", "variant_version", "The variant is at version 1 now.")],
        ),
        (
            [{"sku": "SHIRT-M", "price": 1}, {"id": shirt, "variants": [{"id": second.id}]}],
            [("row 2", "id", "Row 1 is for the same variant.")],
        ),
        (
            [{"title": "Y", "options": SHIRT["options"], "price": 1}],
            [("row 1", "options", "Give the variant a value for each option of the product.")],
        ),
        (
            [{"id": shirt, "variants": [{"id": shirt, "image_id": 3}]}],
            [("row 1", "variants.0.image_id", "Extra inputs are not permitted")],
        ),
        (
            [{"title": "Y", "price": 1, "variants": [{"price": 1}]}],
            [("row 1", "", "Value error, price belongs to the variants")],
        ),
        (
            [{**SHIRT, "title": "Y"}, {"id": 1, "title": "Z", "sku": "SHIRT-S"}],
            [("row 2", "sku", "Row 1 has the same SKU.")],
        ),
    ]
    before = export_lines(database)
    wrong = []
    for file, expected in cases:
        problems = refuse(database, file) if isinstance(file, str) else refuse(database, *file)
        if problems != expected:
            wrong.append((file, problems))
    assert wrong == []
    assert export_lines(database) == before


def test_a_product_has_at_most_250_variants(database, shirt):
    header = ["id", "option1_name", "option1_value", "option2_name", "option2_value", "price"]
    rows = [[str(shirt), "Size", f"{n % 90}", "Colour", f"{n // 90}", "1"] for n in range(300)]
    for number in (249, 251, 300):
        problems = refuse(database, write_table([header, *rows[:number]]))
        assert [problem[1:] for problem in problems] == [("options", "A product has at most 250 variants.")]
    assert load_table(database, write_table([header, *rows[:248]])).changed == 1
    assert len(read_variants(database, shirt)) == 250


def test_a_product_whose_line_would_be_too_long_is_exported_in_several_lines(database, shirt):
    many = {f"key {number}": "x" * 500 for number in range(50)}
    variants = [
        {"options": {"Size": f"{number}", "Colour": "Red"}, "price": 1, "metadata": many}
        for number in range(60)
    ]
    sizes = [{"name": "Size", "values": [str(number) for number in range(60)]}, SHIRT["options"][1]]
    load_lines(database, {"title": "Long", "options": sizes, "variants": variants[:30]})
    product = find_product(database, "Long").id
    load_lines(database, {"id": product, "variants": variants[30:]})
    exported = export_lines(database)
    lines = [json.loads(line) for line in exported.splitlines()]
    assert max(map(len, exported.splitlines())) < 1024 * 1024
    assert [line["id"] for line in lines].count(product) > 1
    assert load_lines(database, *lines).changed == 0


def test_an_import_of_variants_and_orders_do_not_deadlock(database, shirt, settings):
    first, second = (variant.id for variant in read_variants(database, shirt))
    load_lines(database, *[{"sku": sku, "on_hand": 9000} for sku in ("SHIRT-S", "SHIRT-M", "P-1")])
    stop = threading.Event()

    def buy(basket):
        with closing(connect(settings)) as own:
            while not stop.is_set():
                reserve(own, uuid4(), basket)

    def write(turn):
        rows = [
            {"sku": "SHIRT-M", "price": turn},
            {"sku": "SHIRT-S", "price": turn},
            {"id": 1, "price": turn},
        ]
        return load_lines(database, *rows)

    with ThreadPoolExecutor(3) as pool:
        buyers = [
            pool.submit(buy, basket) for basket in ({first: 1, second: 1}, {second: 1, 1: 1}, {second: 1})
        ]
        try:
            assert [write(turn).changed for turn in range(1, 11)] == [2] * 10
        finally:
            stop.set()
        for buyer in buyers:
            buyer.result()


def test_a_variant_that_changed_since_the_export_is_not_overwritten(database, shirt):
    _first, second = read_variants(database, shirt)
    rows = export_table(database)
    change_variant(database, shirt, second.id, 1, {"unit_amount": 999})
    found = refuse(database, write_table(rows))
    assert found == [("row 4", "variant_version", "The variant is at version 2 now.")]


def test_a_line_with_product_fields_only_leaves_the_variants_alone(database, shirt):
    before = list_states(database)
    assert load_table(database, f"id,title,brand,weight_grams\n{shirt},Linen shirt,,\n").changed == 1
    assert load_lines(database, {"id": shirt, "metadata": {"material": "hemp"}}).changed == 1
    product = find_product(database, "Linen shirt")
    assert (product.brand, product.metadata, product.version) == (None, {"material": "hemp"}, 3)
    assert list_states(database) == before


def test_products_with_one_variant_need_no_statement_of_their_own(database):
    copy_stock(database, dict.fromkeys(range(1, 301), 5))
    numbers = []

    def note(*_arguments):
        numbers[-1] += 1

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        for rows in (3, 300):
            numbers.append(0)
            lines = [{"id": number, "title": f"New {rows}"} for number in range(1, rows + 1)]
            assert load_lines(database, *lines, {"title": "Added", "price": 1}).changed == rows
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    assert numbers[0] == numbers[1]
