"""The ledger: the database itself keeps it in balance, and lets nobody change what was booked."""

import pytest
from psycopg import errors

RECEIVABLE = ("receivable", 500)
SALES = ("sales", -500)


@pytest.fixture
def payment_id(orders, order_id):
    return orders.authorize(order_id).json["id"]


@pytest.fixture
def connection(apps):
    return apps.standing.connection


def book(connection, payment_id, *lines, movement="capture"):
    with connection.transaction():
        entry_id = connection.execute(
            "INSERT INTO ledger_entries (payment_id, movement, currency) VALUES (%s, %s, 'USD') RETURNING id",
            [payment_id, movement],
        ).fetchone()["id"]
        add_lines(connection, entry_id, *lines)
    return entry_id


def add_lines(connection, entry_id, *lines):
    for account, amount in lines:
        connection.execute("INSERT INTO ledger_lines VALUES (%s, %s, %s)", [entry_id, account, amount])


def test_an_entry_in_balance_is_booked(connection, payment_id, books):
    book(connection, payment_id, RECEIVABLE, ("fees", -20), ("sales", -480))
    assert books.balances() == {"receivable": 500, "fees": -20, "sales": -480}


@pytest.mark.parametrize("lines", [[RECEIVABLE, ("sales", -499)], [RECEIVABLE], []])
def test_an_entry_out_of_balance_is_refused_when_it_is_committed(connection, payment_id, books, lines):
    with pytest.raises(errors.CheckViolation, match="does not balance"):
        book(connection, payment_id, *lines)
    assert books.movements() == []


def test_a_line_of_nothing_is_refused(connection, payment_id):
    with pytest.raises(errors.CheckViolation):
        book(connection, payment_id, ("receivable", 0), ("sales", 0))


def test_the_same_movement_is_not_booked_twice(connection, payment_id):
    book(connection, payment_id, RECEIVABLE, SALES)
    with pytest.raises(errors.UniqueViolation):
        book(connection, payment_id, RECEIVABLE, SALES)


def test_an_entry_of_the_past_gets_no_more_lines_even_in_balance(connection, payment_id, books):
    entry_id = book(connection, payment_id, RECEIVABLE, SALES)
    with pytest.raises(errors.CheckViolation, match="is closed"), connection.transaction():
        add_lines(connection, entry_id, ("gifts", 100), ("fees", -100))
    assert books.balances() == {"receivable": 500, "sales": -500}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_lines SET amount = amount * 2",
        "UPDATE ledger_entries SET currency = 'EUR'",
        "DELETE FROM ledger_lines",
        "DELETE FROM ledger_entries",
        "TRUNCATE ledger_lines",
        "TRUNCATE ledger_entries CASCADE",
    ],
)
def test_what_was_booked_is_neither_changed_nor_deleted(connection, payment_id, statement):
    book(connection, payment_id, RECEIVABLE, SALES)
    with pytest.raises(errors.RestrictViolation, match="only ever added to"):
        connection.execute(statement)


@pytest.mark.parametrize(
    "change",
    ["amount_captured = amount + 1", "amount_refunded = 1", "status = 'stolen'", "customer = NULL"],
)
def test_the_database_refuses_a_payment_that_cannot_be(connection, payment_id, change):
    with pytest.raises(errors.CheckViolation):
        connection.execute(f"UPDATE payments SET {change}")


def test_an_admin_reads_the_ledger_page_by_page_newest_first(orders, auth, order_id):
    payment = orders.authorize(order_id).json
    orders.capture(order_id)
    orders.cancel(order_id)
    entries, path = [], "/payments/ledger?limit=1"
    while path:
        page = orders.app.test_client().get(path, headers=auth.bearer(role="admin")).json
        entries += page["data"]
        path = page["next"] and f"/payments/ledger?limit=1&cursor={page['next']}"
    assert [entry["movement"] for entry in entries] == ["cancel", "capture"]
    assert list(entries[1]) == ["id", "payment_id", "movement", "time", "currency", "lines"]
    assert entries[1]["payment_id"] == payment["id"]
    assert [entry["lines"] for entry in entries] == [
        [{"account": "receivable", "amount": -1299}, {"account": "sales", "amount": 1299}],
        [{"account": "receivable", "amount": 1299}, {"account": "sales", "amount": -1299}],
    ]


def test_a_ledger_with_nothing_in_it_is_an_empty_page(orders, auth):
    answer = orders.app.test_client().get("/payments/ledger", headers=auth.bearer(role="admin"))
    assert answer.json == {"data": [], "next": None}
