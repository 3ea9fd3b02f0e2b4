"""Idempotency keys are deleted once no retry can arrive."""

import pytest

from orders.use_cases.sweep import sweep_leftovers
from tests.orders.conftest import read_status, run_sql, sweep
from tests.waiting import wait_for


def age_keys(database, hours):
    run_sql(
        database,
        "UPDATE idempotency_keys SET created_at = now() - make_interval(hours => :hours)",
        hours=hours,
    )


def count_keys(database):
    return run_sql(database, "SELECT count(*) FROM idempotency_keys")[0][0]


def test_keys_are_kept_for_two_days(buyer, database):
    buyer.order()
    for hours, kept in ((24, 1), (47, 1), (49, 0)):
        age_keys(database, hours)
        sweep(database)
        assert count_keys(database) == kept, hours


@pytest.mark.usefixtures("quick_retries")
def test_the_key_of_an_unanswered_call_is_kept(buyer, database, payments):
    payments.is_away = {"authorize"}
    location = buyer.order().headers["Location"]
    age_keys(database, 1000)
    sweep(database)
    assert count_keys(database) == 1
    payments.is_away = set()
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert buyer.order().status_code == 201


def test_only_one_replica_sweeps_in_an_hour(buyer, database):
    sweep(database)
    buyer.order()
    age_keys(database, 49)
    sweep_leftovers(database)
    assert count_keys(database) == 1
