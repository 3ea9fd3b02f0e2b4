"""Concurrent orders and edits of the variants of one product, each on its own connection."""

import random
from collections import Counter
from contextlib import suppress
from uuid import uuid4

import pytest
from sqlalchemy import text

from catalog.domain import State
from catalog.errors import LastVariant, OutOfStock, ProductUnavailable, VariantExists
from catalog.use_cases.admin import create_product
from catalog.use_cases.reservations import commit_reservation, release_reservation
from catalog.use_cases.variants import add_variant, count_stock, list_managed, withdraw_variant
from catalog.variants import NewVariant, Option
from tests.catalog.fake_source import copy_stock, reserve

SIZES = Option("Size", ("S", "M", "L", "XL"))
SUMMARY = """
SELECT further_variants, further_lowest, further_highest, further_in_stock FROM products WHERE id = :id
"""
EXPECTED = """
SELECT count(*), min(unit_amount), max(unit_amount), bool_or(on_hand > reserved) FROM products
WHERE parent_id = :id AND withdrawn_at IS NULL
"""


def make_variant(size, on_hand, amount=500):
    return NewVariant({"option_values": {"Size": size}, "unit_amount": amount}, on_hand)


@pytest.fixture
def sizes(database):
    """The ids of a product's variants: ten units of each."""
    copy_stock(database, {1: 1})
    variants = [make_variant(size, 10, 500 + place) for place, size in enumerate(("S", "M", "L"))]
    values = {"title": "Shirt", "category": "clothes", "description": "", "images": []}
    product = create_product(database, values, variants, [SIZES]).product
    return [variant.id for variant in list_managed(database, product.id)]


def assert_summarized(database, product_id):
    """Assert that the product's summary is what its variants are."""
    with database.transaction() as connection:
        found, expected = (
            tuple(connection.execute(text(query), {"id": product_id}).one()) for query in (SUMMARY, EXPECTED)
        )
    assert found == expected


def test_no_variant_is_oversold_by_orders_of_several_variants(database, sizes, concurrently):
    """Thirty units, and orders for sixty, of random variants in random numbers, by eight buyers."""
    held = Counter()

    def make_buyer(seed):
        chance = random.Random(seed)  # noqa: S311  # Not for secrets.

        def buy(own):
            bought = Counter()
            for _ in range(15):
                basket = {
                    number: chance.randint(1, 2) for number in chance.sample(sizes, chance.randint(1, 3))
                }
                order_id = uuid4()
                with suppress(OutOfStock):
                    reserve(own, order_id, basket)
                    if chance.random() < 0.3:
                        release_reservation(own, order_id)
                    else:
                        commit_reservation(own, order_id)
                        bought.update(basket)
            return bought

        return buy

    for bought in concurrently(*[make_buyer(seed) for seed in range(8)]):
        assert isinstance(bought, Counter), bought
        held.update(bought)
    stock = {variant.id: (variant.on_hand, variant.reserved) for variant in list_managed(database, sizes[0])}
    assert stock == {number: (10 - held[number], 0) for number in sizes}
    assert held.total() >= 24
    assert_summarized(database, sizes[0])


def test_orders_counts_and_edits_of_one_products_variants_do_not_deadlock(database, sizes, concurrently):
    first, medium, large = sizes

    def buy(*numbers):
        def task(own):
            for _ in range(20):
                order_id = uuid4()
                with suppress(OutOfStock, ProductUnavailable):
                    reserve(own, order_id, dict.fromkeys(numbers, 1))
                    release_reservation(own, order_id)

        return task

    def count(own):
        for turn in range(20):
            # To and from no units, so that the product's summary changes each time.
            for number in (medium, large):
                count_stock(own, first, number, 20 if turn % 2 else 12)

    def edit(own):
        for _ in range(10):
            added = add_variant(own, first, make_variant("XL", 1))
            withdraw_variant(own, first, added.id)

    tasks = [buy(large), buy(medium, large), buy(first, large), buy(large, first), count, edit]
    assert concurrently(*tasks) == [None] * 6
    assert_summarized(database, first)
    assert [variant.reserved for variant in list_managed(database, first)] == [0, 0, 0]


def test_the_summary_follows_the_last_unit_of_each_variant(database, sizes):
    first, medium, large = sizes
    orders = {number: uuid4() for number in sizes}
    for number in (medium, large):
        reserve(database, orders[number], {number: 10})
        assert_summarized(database, first)
    with database.transaction() as connection:
        assert connection.execute(text(SUMMARY), {"id": first}).one().further_in_stock is False
    commit_reservation(database, orders[medium])
    assert release_reservation(database, orders[large]) is State.RELEASED
    assert_summarized(database, first)


def test_of_equal_variants_that_are_added_at_once_one_is_added(database, sizes, concurrently):
    added = concurrently(*[lambda own: add_variant(own, sizes[0], make_variant("XL", 1))] * 6)
    assert sum(isinstance(each, VariantExists) for each in added) == 5
    assert len(list_managed(database, sizes[0])) == 4


def test_one_variant_stays_if_all_are_withdrawn_at_once(database, sizes, concurrently):
    ended = concurrently(
        *[lambda own, number=number: withdraw_variant(own, sizes[0], number) for number in sizes]
    )
    assert sum(isinstance(each, LastVariant) for each in ended) == 1
    assert len(list_managed(database, sizes[0])) == 1
