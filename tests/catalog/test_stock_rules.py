"""Any sequence of reserving, committing, releasing, lapsing and restocking keeps count of every unit."""

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from catalog.domain import State
from catalog.errors import (
    OutOfStock,
    ReservationClosed,
    ReservationConflict,
    ReservationLapsed,
    ReservationNotFound,
)
from catalog.use_cases import commit_reservation, lapse_reservations, release_reservation
from tests.catalog.shelf import copy_shelf, make_overdue, read_counts, reserve

START = {1: 4, 2: 6, 3: 0}
ORDERS = st.sampled_from([UUID(int=number) for number in range(1, 6)])
BASKETS = st.dictionaries(st.sampled_from(sorted(START)), st.integers(1, 4), min_size=1)

SUMS = """
SELECT product_id, state, sum(quantity)::bigint AS units
FROM reservation_lines JOIN reservations USING (order_id) GROUP BY product_id, state
"""


class StockRules(RuleBasedStateMachine):
    """The catalogue beside a model of it in plain Python, which says what each call must answer."""

    def __init__(self, database):
        super().__init__()
        self.database = database
        with database.transaction() as connection:
            connection.execute(text("TRUNCATE products, reservations, reservation_lines"))
        copy_shelf(database, START)
        self.source = dict(START)
        self.brought = dict(START)  # What came in, less what the source took away.
        self.reservations = {}

    def count(self, number, *states):
        """Return how many units of a product the model has in these states."""
        return sum(basket.get(number, 0) for state, basket in self.reservations.values() if state in states)

    def left(self, number):
        return self.brought[number] - self.count(number, State.HELD, State.COMMITTED)

    @rule(order=ORDERS, basket=BASKETS)
    def reserve(self, order, basket):
        state, known = self.reservations.get(order, (None, basket))
        fits = all(self.left(number) >= quantity for number, quantity in basket.items())
        if state in {State.COMMITTED, State.RELEASED, State.CLOSED}:
            expected = ReservationClosed
        elif known != basket:
            expected = ReservationConflict
        else:
            expected = None if state is State.HELD or fits else OutOfStock

        def call():
            return reserve(self.database, order, basket)

        if expected:
            with pytest.raises(expected):
                call()
        else:
            assert call().quantities == basket
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

    @rule(number=st.sampled_from(sorted(START)), stock=st.integers(0, 8))
    def restock(self, number, stock):
        change = stock - self.source[number]
        # The source cannot take away what is held, nor what is not there.
        self.brought[number] += max(change, -self.left(number))
        self.source[number] = stock
        copy_shelf(self.database, self.source)

    @invariant()
    def every_unit_is_left_or_held_or_sold(self):
        counts = read_counts(self.database)
        with self.database.transaction() as connection:
            sums = Counter({(row.product_id, row.state): row.units for row in connection.execute(text(SUMS))})
        for number, (on_hand, reserved) in counts.items():
            assert 0 <= reserved <= on_hand
            assert reserved == sums[number, "held"]
            assert on_hand - reserved == self.left(number)
            assert on_hand + sums[number, "committed"] == self.brought[number]


def test_no_unit_is_lost_or_sold_twice_whatever_happens_in_whatever_order(database):
    run_state_machine_as_test(
        lambda: StockRules(database),
        settings=settings(
            max_examples=20,
            stateful_step_count=15,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
