"""Lists of many orders are fast, because an index serves each filter of an admin."""

from contextlib import closing

import pytest
from sqlalchemy import event, text

from orders.domain import Status
from orders.repository import orders
from shared.database import connect
from shared.settings import ServiceSettings
from tests.orders.conftest import run_sql

# 20 000 orders, one per minute: 1 % are cancelled, the others are paid, and each customer has fifty.
PAST = """
INSERT INTO orders (id, customer, status, reason, payment_method, shipping_address, currency, items_amount,
                    request_id, traceparent, created_at, email)
SELECT uuidv7(age), 'customer ' || number % 400, CASE WHEN number % 100 = 0 THEN 'cancelled' ELSE 'paid' END,
       CASE WHEN number % 100 = 0 THEN 'timed_out' END, 'pm_card_visa', '{}', 'USD', 1000, 'r', 't',
       now() + age, 'buyer' || number || '@example.com'
FROM (SELECT number, number * interval '-1 minute' AS age FROM generate_series(1, 20000) AS number) AS past
"""


@pytest.fixture(scope="module")
def past(make_database):
    """A shop with the orders of two weeks."""
    settings = ServiceSettings(service="orders-service", database_url=make_database("orders-service"))
    with closing(connect(settings)) as database:
        run_sql(database, PAST)
        with database.autocommit() as connection:
            connection.execute(text("VACUUM ANALYZE orders"))
        yield database


def explain(database, **filters):
    """Return PostgreSQL's plan for a page, and the page."""
    statements = []
    with database.transaction() as connection:

        def remember(_connection, _cursor, statement, parameters, *_others):
            statements.append((statement, parameters))

        event.listen(connection, "before_cursor_execute", remember)
        page = orders.read_page(
            connection,
            **{"customers": None, "status": None, "since": None, "until": None, **filters},
            limit=31,
        )
        statement, parameters = statements[0]
        plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters)
        return "\n".join(row[0] for row in plan), page


def moment(database, days):
    return run_sql(database, f"SELECT now() - interval '{days} days'")[0][0]


FILTERS = {
    "everything": {},
    "a status": {"status": Status.CANCELLED},
    "a customer": {"customers": ["customer 7"]},
    "a customer's status": {"customers": ["customer 0"], "status": Status.CANCELLED},
    "a day long ago": {"since": 10, "until": 9},
    "until long ago": {"until": 12},
    "a status until long ago": {"status": Status.CANCELLED, "until": 12},
    "a status that no order has": {"status": Status.PENDING},
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_page_is_read_from_an_index_and_not_sorted(past, name):
    filters = {
        key: moment(past, value) if key in {"since", "until"} else value
        for key, value in FILTERS[name].items()
    }
    plan, page = explain(past, **filters)
    assert "Index Scan" in plan
    assert "Seq Scan" not in plan
    assert "Rows Removed by Filter: 1" not in plan.replace("Rows Removed by Filter: 1\n", "")
    assert len(page) <= 31
    assert bool(page) == (name != "a status that no order has")
    assert [order.id for order in page] == sorted((order.id for order in page), reverse=True)
    for order in page:
        assert filters.get("since", order.created_at) <= order.created_at
        assert filters.get("until") is None or order.created_at < filters["until"]
        assert order.status is filters.get("status", order.status)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [("1500", "orders_number"), ("Buyer777@Example.com", "orders_contact"), ("missing", "orders_contact")],
)
def test_a_search_reads_few_orders_by_its_index(past, wanted, index):
    plan, page = explain(past, wanted=wanted)
    assert index in plan
    assert "Seq Scan" not in plan
    assert len(page) == (wanted != "missing")


def test_the_first_and_the_last_possible_times_are_accepted(buyer):
    buyer.order()
    for query in ("since=0001-01-01T00:00:00Z", "until=9999-12-31T23:59:59Z"):
        assert len(buyer.get(f"/orders?{query}").json["data"]) == 1, query
