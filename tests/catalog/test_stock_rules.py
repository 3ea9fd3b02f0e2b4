"""Stock counts stay consistent after any reservations, copies, counts, imports and edits."""

import io
import json
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from catalog.domain import State
from catalog.errors import (
    ImportRefused,
    OutOfStock,
    ReservationClosed,
    ReservationConflict,
    ReservationLapsed,
    ReservationNotFound,
    StockHeld,
)
from catalog.use_cases.admin import change_product
from catalog.use_cases.imports import import_products
from catalog.use_cases.reservations import commit_reservation, lapse_reservations, release_reservation
from catalog.use_cases.variants import count_stock
from tests.catalog.fake_source import copy_stock, make_overdue, reserve

START = {1: 4, 2: 6, 3: 0}
ORDERS = st.sampled_from([UUID(int=number) for number in range(1, 6)])
NUMBERS = st.sampled_from(sorted(START))
UNITS = st.integers(0, 8)
BASKETS = st.dictionaries(st.sampled_from(sorted(START)), st.integers(1, 4), min_size=1)

# The same columns as in the audit of the books.
BOOKS = """
SELECT id, on_hand, reserved, shortfall, source_on_hand,
       coalesce(sum(quantity) FILTER (WHERE state = 'held'), 0)::bigint AS held,
       coalesce(sum(quantity) FILTER (WHERE state = 'committed'), 0)::bigint AS sold
FROM products LEFT JOIN reservation_lines ON product_id = id LEFT JOIN reservations USING (order_id)
GROUP BY id ORDER BY id
"""


class StockRules(RuleBasedStateMachine):
    """The catalogue, compared with a plain Python model that predicts the result of each call."""

    def __init__(self, database):
        super().__init__()
        self.database = database
        with database.transaction() as connection:
            for table in ("reservation_lines", "reservations", "products", "source_pages"):
                connection.execute(text(f"DELETE FROM {table}"))
        copy_stock(database, START)
        self.source = dict(START)
        self.supplied = dict(START)  # The stock without any sales.
        self.counted = set()  # The source no longer controls the stock of these products.
        self.reservations = {}

    def count_units(self, number, state):
        """Return the number of units of a product that the model has in this state."""
        return sum(basket.get(number, 0) for known, basket in self.reservations.values() if known is state)

    def on_hand(self, number):
        """Return the expected units on hand: the supply minus sales, but at least the held units."""
        owned = self.supplied[number] - self.count_units(number, State.COMMITTED)
        return max(owned, self.count_units(number, State.HELD))

    def available(self, number):
        return self.on_hand(number) - self.count_units(number, State.HELD)

    @rule(order=ORDERS, basket=BASKETS)
    def reserve(self, order, basket):
        state, known = self.reservations.get(order, (None, basket))
        fits = all(self.available(number) >= quantity for number, quantity in basket.items())
        if state in {State.COMMITTED, State.RELEASED, State.CLOSED}:
            expected = ReservationClosed
        elif known != basket:
            expected = ReservationConflict
        else:
            expected = None if state is State.HELD or fits else OutOfStock
        if expected:
            with pytest.raises(expected):
                reserve(self.database, order, basket)
        else:
            assert reserve(self.database, order, basket).quantities == basket
            self.reservations[order] = State.HELD, basket

    @rule(order=ORDERS)
    def commit(self, order):
        state, basket = self.reservations.get(order, (None, {}))
        refusals = {
            None: ReservationNotFound,
            State.LAPSED: ReservationLapsed,
            State.RELEASED: ReservationClosed,
            State.CLOSED: ReservationClosed,
        }
        if state in refusals:
            with pytest.raises(refusals[state]):
                commit_reservation(self.database, order)
        else:
            assert commit_reservation(self.database, order) is State.COMMITTED
            self.reservations[order] = State.COMMITTED, basket

    @rule(order=ORDERS)
    def release(self, order):
        state, basket = self.reservations.get(order, (State.CLOSED, {}))
        expected = State.CLOSED if state is State.CLOSED else State.RELEASED
        assert release_reservation(self.database, order) is expected
        self.reservations[order] = expected, basket

    @rule()
    def lapse(self):
        held = [order for order, (state, _basket) in self.reservations.items() if state is State.HELD]
        make_overdue(self.database)
        assert lapse_reservations(self.database) == len(held)
        for order in held:
            self.reservations[order] = State.LAPSED, self.reservations[order][1]

    @rule(number=NUMBERS, stock=UNITS, overwrite=st.booleans())
    def copy(self, number, stock, overwrite):
        self.source[number] = stock
        if overwrite:
            self.counted = set()
            with self.database.transaction() as connection:
                connection.execute(text("UPDATE source_copy SET overwrite = true"))
        copy_stock(self.database, self.source)
        self.follow_source()

    @rule(number=NUMBERS)
    def follow_source_stock(self, number):
        change_product(self.database, number, self.version(number), {}, {"stock"})
        self.counted.discard(number)
        self.follow_source()

    def follow_source(self):
        for number in START:
            if number not in self.counted:
                self.supplied[number] = self.source[number]

    @rule(number=NUMBERS, units=UNITS)
    def count_stock(self, number, units):
        if units < self.count_units(number, State.HELD):
            with pytest.raises(StockHeld):
                count_stock(self.database, number, number, units)
        else:
            assert count_stock(self.database, number, number, units).on_hand == units
            self.note_count(number, units)

    @rule(units=st.dictionaries(NUMBERS, UNITS, min_size=1))
    def load(self, units):
        rows = [{"id": number, "on_hand": count} for number, count in units.items()]
        body = io.BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        if any(count < self.count_units(number, State.HELD) for number, count in units.items()):
            with pytest.raises(ImportRefused):
                list(import_products(self.database, body, "USD"))
        else:
            list(import_products(self.database, body, "USD"))
            for number, count in units.items():
                if count != self.supplied[number] - self.count_units(number, State.COMMITTED):
                    self.note_count(number, count)

    def note_count(self, number, units):
        self.supplied[number] = units + self.count_units(number, State.COMMITTED)
        self.counted.add(number)

    @rule(number=NUMBERS, price=st.integers(1, 9))
    def edit(self, number, price):
        change_product(self.database, number, self.version(number), {"unit_amount": price}, set())

    def version(self, number):
        with self.database.transaction() as connection:
            query = text("SELECT version FROM products WHERE id = :id")
            return connection.execute(query, {"id": number}).scalar()

    @invariant()
    def every_unit_is_available_held_or_sold(self):
        with self.database.transaction() as connection:
            books = list(connection.execute(text(BOOKS)))
        for row in books:
            assert 0 <= row.reserved <= row.on_hand
            assert row.reserved == row.held == self.count_units(row.id, State.HELD)
            assert row.sold == self.count_units(row.id, State.COMMITTED)
            assert row.source_on_hand == self.supplied[row.id]
            assert row.on_hand == self.on_hand(row.id)
            assert row.on_hand - row.shortfall == row.source_on_hand - row.sold
            assert row.shortfall == 0 or row.on_hand == row.reserved


def test_no_sequence_of_events_loses_a_unit_or_sells_it_twice(database):
    run_state_machine_as_test(
        lambda: StockRules(database),
        settings=settings(
            max_examples=25,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
