"""The bundled sample: its variants, and its copy into shops that have an earlier edition."""

import hashlib
import json
from uuid import UUID

import pytest
from sqlalchemy import text

from catalog.app import create_source
from catalog.domain import State
from catalog.sources import SAMPLE, SAMPLE_EDITION, SampleSource, to_offer
from catalog.use_cases.admin import change_product
from catalog.use_cases.reservations import commit_reservation, reserve_stock
from catalog.use_cases.source import copy_source
from catalog.use_cases.sync import read_last_sync
from catalog.variants import check_combinations
from tests.catalog.upstreams import execute

PRODUCTS = json.loads(SAMPLE.read_text())
# The contents of the current edition. Shops copy a changed sample only if its edition is higher.
CONTENTS = "1e6220d59eefd7d0"
# The previous edition had no variants. Its titles and SKUs, where they differ.
FORMER = {14: "Dot Grid Notebook, A5, 192 Pages", 61: "Jointed Desk Lamp in Matt Green"}
FORMER |= {118: "Single-Wall Steel Bottle, 1 Litre"}
APRON, LAMP, SOLD = 91, 61, UUID(int=1)


def test_a_changed_sample_has_a_higher_edition():
    assert hashlib.sha256(SAMPLE.read_bytes()).hexdigest()[:16] == CONTENTS, "Raise SAMPLE_EDITION."
    assert SAMPLE_EDITION == 2


def test_a_dozen_products_of_the_sample_have_valid_variants():
    wrong, counts, skus = {}, {}, []
    for product in PRODUCTS:
        offer, adjusted = to_offer(product, "USD")
        skus += offer.skus
        if adjusted:
            wrong[product["id"]] = adjusted
        if offer.variants:
            counts[product["id"]] = len(offer.variants)
            check_combinations(list(enumerate(variant.option_values for variant in offer.variants)))
            weightless = [variant.sku for variant in offer.variants if not variant.weight_grams]
            unused = [
                value
                for option in offer.options
                for value in option.values
                if value not in {(variant.option_values or {}).get(option.name) for variant in offer.variants}
            ]
            if weightless or unused:
                wrong[product["id"]] = (weightless, unused)
    assert wrong == {}
    assert len(skus) == len(set(skus))
    assert (len(counts), min(counts.values()), max(counts.values())) == (12, 2, 6)


def test_the_first_product_is_the_one_of_the_tutorial(client, auth):
    first = client.get("/products/1", headers=auth.bearer()).json
    found = {name: first[name] for name in ("sku", "title", "unit_amount", "stock", "variant_count")}
    assert found == {
        "sku": "KIT-0001",
        "title": "Walnut Chopping Board with Juice Groove",
        "unit_amount": 6490,
        "stock": 180,
        "variant_count": 1,
    }


def test_a_customer_sees_the_variants_of_a_sample_product(client, auth):
    lamp = client.get(f"/products/{LAMP}", headers=auth.bearer()).json
    assert [(each["title"], each["sku"], each["image"]) for each in lamp["variants"]] == [
        ("Matt Green", "LGT-0001-GRE", "/images/lgt-0001-1200.webp"),
        ("Brick Red", "LGT-0001-RED", "/images/lgt-0001-red-1200.webp"),
        ("Slate Blue", "LGT-0001-BLU", "/images/lgt-0001-blue-1200.webp"),
    ]
    assert lamp["variant_count"] == 3


@pytest.fixture
def former(settings, database):
    """A shop of the previous release: its edition of the sample, with an edit, a count and a sale."""
    contents = [strip(product) for product in PRODUCTS]
    source = SampleSource("USD")
    source.edition = 1
    source._contents = json.dumps(contents).encode()
    assert copy_source(database, source, "USD")
    # That release stored no edition and no variants.
    execute(
        database,
        "UPDATE source_pages SET etag = NULL, offers = (SELECT jsonb_agg(each - 'variants' - 'options')"
        " FROM jsonb_array_elements(offers) AS each)",
    )
    change_product(database, 2, 1, {"title": "Our stockpot"})
    reserve_stock(database, source, "USD", SOLD, "a-customer", {APRON: 2, LAMP: 1, 3: 4})
    assert commit_reservation(database, SOLD) is State.COMMITTED
    return create_source(settings)


def strip(product):
    """Return a product as the previous edition described it."""
    changes = {"title": FORMER.get(product["id"], product["title"])}
    changes["images"] = [f"/images/{product['sku'].lower()}.svg"]
    kept = {name: value for name, value in product.items() if name not in {"options", "variants"}}
    return kept | changes


def test_a_shop_gets_the_new_edition_and_keeps_numbers_edits_and_sales(former, database):
    before = read_products(database)
    assert copy_source(database, former, "USD")
    after = read_products(database)
    assert after.keys() == before.keys()
    report = read_last_sync(database)
    assert (report.added, report.removed, report.rejected_count, report.adjusted_count) == (0, 0, 0, 0)
    assert (after[2].title, after[2].edited) == ("Our stockpot", ["title"])
    # Old orders and carts name products; those have become first variants at the same price.
    assert {number: row.unit_amount for number, row in after.items()} == {
        number: row.unit_amount for number, row in before.items()
    }
    assert {number: row.on_hand for number, row in after.items()} == {
        number: row.on_hand for number, row in before.items()
    }
    assert (after[APRON].on_hand, after[APRON].further_variants) == (130, 2)
    lines = execute(database, "SELECT product_id, quantity, sku FROM reservation_lines ORDER BY 1").all()
    assert [tuple(line) for line in lines] == [
        (3, 4, "KIT-0003"),
        (LAMP, 1, "LGT-0001"),
        (APRON, 2, "KID-0007"),
    ]
    raster = {number for number, row in after.items() if row.images[0].endswith("-1200.webp")}
    assert raster == {product["id"] for product in PRODUCTS if "variants" in product}


def read_products(database):
    with database.transaction() as connection:
        query = "SELECT id, title, edited, unit_amount, on_hand, further_variants, images FROM products"
        return {row.id: row for row in connection.execute(text(f"{query} WHERE removed_at IS NULL"))}


def test_an_edition_is_copied_once_and_no_replica_of_an_earlier_one_copies_its_own(former, database):
    earlier = SampleSource("USD")
    earlier.edition = 1
    assert copy_source(database, former, "USD")
    assert [copy_source(database, each, "USD") for each in (former, earlier, former)] == [False] * 3
    # Replicas of the previous release know the sample by this name, so they neither copy nor discard edits.
    assert former.name == "sample 77be39f3c8cf in USD"
