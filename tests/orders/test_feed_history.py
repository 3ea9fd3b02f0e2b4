"""The places of the feed of changed orders: cursors, restored databases, and the indexes that find them."""

import os
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from local.postgres import find, running
from orders.domain import FeedPosition
from orders.errors import CursorExpired
from orders.repository import feed
from orders.schemas.feed import decode_position, encode_position
from shared.database import connect
from shared.ids import first_id, new_id
from shared.pages import decode_cursor, encode_cursor
from shared.settings import ServiceSettings
from tests.orders.conftest import Buyer, run_sql
from tests.orders.feeds import LONG_AGO, Program, change, place, read_number

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
MANY_TRANSACTIONS = """
DO $$ BEGIN
    FOR number IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP;
END $$
"""
# 30 000 events of 6 000 orders, one per minute; each customer has fifteen orders.
PAST = """
INSERT INTO orders (id, customer, status, payment_method, shipping_address, request_id, traceparent)
SELECT uuidv7(number * interval '-5 minutes'), 'customer ' || number % 400, 'pending', 'pm_card_visa', '{}',
    'r', 't'
FROM generate_series(1, 6000) AS number;
INSERT INTO order_events (id, order_id, time, kind, actor, transaction_id)
SELECT uuidv7(age), orders.id, now() + age, 'changed', 'a test',
    CASE WHEN place > 2 THEN CAST(CAST(place AS text) AS xid8) END
FROM (SELECT id, row_number() OVER (ORDER BY id) AS number FROM orders) AS orders,
    generate_series(0, 4) AS step,
    LATERAL (SELECT (orders.number - 6001) * interval '5 minutes' + step * interval '1 minute' AS age,
                 (orders.number - 3000) / 10 AS place) AS times
"""


@pytest.fixture
def program(standing, auth):
    """An admin's program, next to no background thread that writes."""
    return Program(Buyer(standing.app, auth, "boss", role="admin"))


def test_a_cursor_of_another_kind_is_refused(database, program):
    client, placed = program.client, [place(database) for _ in range(2)]
    of_list = client.get("/orders?limit=1").json["next"]
    program.poll()
    of_feed = program.cursor
    history, number, event_id, reads_past = decode_cursor(of_feed)
    wrong = [
        ["", number, event_id, reads_past],
        [history, -1, event_id, reads_past],
        [history, True, event_id, reads_past],
        [history, str(number), event_id, reads_past],
        [history, number, "x", reads_past],
        [history, number, event_id, 0],
        [history, number, event_id],
    ]
    queries = [
        f"cursor={of_feed}",
        f"updated_since={LONG_AGO}&cursor={of_list}",
        *(f"updated_since={LONG_AGO}&cursor={encode_cursor(position)}" for position in wrong),
    ]
    answers = {query: client.get(f"/orders?{query}") for query in queries}
    refused = {query: (answer.status_code, answer.json.get("errors")) for query, answer in answers.items()}
    detail = "This is not a cursor of this list; send `next` unchanged, with the same filters."
    entry = [{"location": "query", "field": "cursor", "detail": detail}]
    assert refused == dict.fromkeys(queries, (422, entry))
    assert len(placed) == len(program.orders)


def test_a_cursor_keeps_64_bits():
    position = FeedPosition("1-00000001-2", 2**64 - 1, new_id(), reads_past=True)
    assert decode_position(encode_position(position)) == position


def test_a_cursor_of_another_history_has_expired(database, program):
    placed = place(database)
    program.catch_up()
    position = decode_position(program.cursor)
    another = FeedPosition("another", position.transaction, position.event, position.reads_past)
    # The server's files were replaced by older ones, so that it has not come so far.
    ahead = FeedPosition(position.history, 2**64 - 1, position.event, position.reads_past)
    for stale in (another, ahead):
        program.cursor = encode_position(stale)
        answer = program.send()
        assert (answer.status_code, answer.json["code"]) == (410, "cursor_expired")
        assert "without `cursor`" in answer.json["detail"]
    program.cursor = None
    assert program.catch_up() == [placed]


def test_restored_events_with_ids_of_the_future_are_found_and_hide_no_change(database, program):
    restored, placed = place(database), place(database)
    with database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO order_events (id, order_id, time, kind, actor, transaction_id)"
                " SELECT uuidv7(age), :order, now() + age, 'changed', 'a test', CAST(:transaction AS xid8)"
                " FROM (SELECT number * interval '-1 hour' AS age FROM generate_series(1, 20) AS number)"
            ),
            {"order": restored, "transaction": str(2**63 + 5)},
        )
    program.limit = 1
    found = program.catch_up()
    assert set(found) == {restored, placed}
    for order_id in (placed, restored, placed):
        change(database, order_id)
        assert program.catch_up() == [order_id]


def run_program(name, *arguments, **options):
    """Run one of PostgreSQL's programs; return its output."""
    done = subprocess.run(
        [find(name), *arguments],
        capture_output=True,
        check=True,
        env={**os.environ, "PGOPTIONS": ""},
        **options,
    )
    return done.stdout


def test_after_a_move_to_another_server_a_program_starts_again_and_misses_nothing(make_database, tmp_path):
    url = make_database("orders-service")
    settings = ServiceSettings(service="orders-service", database_url=url)
    with closing(connect(settings)) as database:
        with database.autocommit() as connection:
            connection.execute(text(MANY_TRANSACTIONS))
        orders = [place(database) for _ in range(3)]
        found, position = read(database)
        assert found == orders
        missed = place(database)
    dump = run_program("pg_dump", url)
    with running(tmp_path) as server:
        run_program("psql", "--quiet", "--set=ON_ERROR_STOP=1", server.url(), input=dump)
        moved = settings.model_copy(update={"database_url": server.url()})
        with closing(connect(moved)) as database:
            stored = read_number(database, "(SELECT min(transaction_id) FROM order_events)")
            assert read_number(database, "pg_current_xact_id()") < stored
            with pytest.raises(CursorExpired):
                read(database, position)
            found, position = read(database)
            assert found == [*orders, missed]
            for order_id in (orders[1], missed):
                change(database, order_id)
                found, position = read(database, position)
                assert found == [order_id]


def read(database, after=None, **options):
    """Return the ids of a page of the feed, and the position behind it."""
    with database.snapshot() as connection:
        wanted = {"customers": None, "since": BEGINNING, "after": after, "limit": 30, **options}
        orders, end = feed.read_page(connection, **wanted)
    return [str(order.id) for order in orders], end


@pytest.fixture(scope="module")
def past(make_database):
    """A shop with the events of three weeks, of which the older half has no transaction."""
    settings = ServiceSettings(service="orders-service", database_url=make_database("orders-service"))
    with closing(connect(settings)) as database:
        run_sql(database, PAST)
        with database.autocommit() as connection:
            connection.execute(text("VACUUM ANALYZE orders, order_events"))
        yield database


def explain(database, after, *, is_generic=False, **options):
    """Return the plan for the events of a page, or the one for any values, and the page."""
    statements = []
    with database.snapshot() as connection:

        def remember(_connection, _cursor, statement, parameters, *_others):
            statements.append((statement, parameters))

        event.listen(connection, "before_cursor_execute", remember)
        wanted = {"customers": None, "since": BEGINNING, "after": after, "limit": 30, **options}
        page, _end = feed.read_page(connection, **wanted)
        statement, parameters = next(each for each in statements if "LIMIT" in each[0])
        if is_generic:
            numbers = {name: f"${number}" for number, name in enumerate(parameters, start=1)}
            found = connection.exec_driver_sql(f"EXPLAIN (GENERIC_PLAN) {statement % numbers}")
        else:
            found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters)
        return "\n".join(row[0] for row in found), page


def test_a_page_is_read_from_an_index_and_not_sorted(past):
    _page, position = read(past)
    ended = FeedPosition(position.history, 150, feed.FIRST, reads_past=False)
    middle = first_id(datetime.now(UTC), -timedelta(days=10))
    cases = {
        "the first page": (None, {}, "order_events_pkey"),
        "a first page of yesterday": (
            None,
            {"since": datetime.now(UTC) - timedelta(days=1)},
            "order_events_pkey",
        ),
        "a later page of the past": (
            FeedPosition(position.history, 150, middle, True),
            {},
            "order_events_pkey",
        ),
        "changes": (ended, {}, "order_events_by_transaction"),
        "no changes": (
            FeedPosition(position.history, 302, feed.FIRST, False),
            {},
            "order_events_by_transaction",
        ),
    }
    wrong = {}
    for name, (after, options, index) in cases.items():
        plan, page = explain(past, after, **options)
        if index not in plan or "Seq Scan" in plan or "Sort" in plan or bool(page) == (name == "no changes"):
            wrong[name] = plan
    assert not wrong, "\n\n".join(f"{name}\n{plan}" for name, plan in wrong.items())


def test_a_customers_page_reads_the_events_of_the_customers_orders_alone(past):
    _page, position = read(past)
    cases = {
        "the first page": None,
        "changes": FeedPosition(position.history, 150, feed.FIRST, reads_past=False),
        "no changes": FeedPosition(position.history, 302, feed.FIRST, reads_past=False),
    }
    wrong = {}
    for name, after in cases.items():
        for is_generic in (False, True):
            customers = ["customer 7", "a guest"]
            plan, page = explain(past, after, is_generic=is_generic, customers=customers)
            assert {order.customer for order in page} == ({"customer 7"} if name != "no changes" else set())
            # Only where there are no changes, reading all of them is quick.
            index = "order_events_of_order" if name != "no changes" or is_generic else "order_events_"
            if "Seq Scan" in plan or index not in plan:
                wrong[name, is_generic] = plan
    assert not wrong, "\n\n".join(f"{name}\n{plan}" for name, plan in wrong.items())
