"""The ledger: the database keeps it balanced and append-only."""

import pytest
from psycopg import errors


@pytest.fixture
def payment_id(orders, order_id):
    return orders.authorize(order_id).json["id"]


@pytest.fixture
def connection(apps):
    return apps.standing.connection


def insert_entry(
    connection, payment_id, movement="capture", *, debit="receivable", credit="sales", amount=500
):
    connection.execute(
        "INSERT INTO ledger_entries (payment_id, movement, currency, debit, credit, amount)"
        " VALUES (%s, %s, 'USD', %s, %s, %s)",
        [payment_id, movement, debit, credit, amount],
    )


def test_an_entry_moves_money_between_two_accounts(connection, payment_id, tables):
    insert_entry(connection, payment_id)
    insert_entry(connection, payment_id, "fee", debit="fees", credit="receivable", amount=20)
    assert tables.balances() == {"receivable": 480, "fees": 20, "sales": -500}


@pytest.mark.parametrize("amount", [0, -500])
def test_an_entry_without_a_positive_amount_is_refused(connection, payment_id, amount):
    with pytest.raises(errors.CheckViolation, match="ledger_entries_amount"):
        insert_entry(connection, payment_id, amount=amount)


def test_an_entry_requires_two_accounts(connection, payment_id):
    with pytest.raises(errors.CheckViolation, match="ledger_entries_accounts"):
        insert_entry(connection, payment_id, credit="receivable")
    with pytest.raises(errors.NotNullViolation):
        insert_entry(connection, payment_id, credit=None)


def test_a_second_entry_of_the_same_movement_is_refused(connection, payment_id):
    insert_entry(connection, payment_id)
    with pytest.raises(errors.UniqueViolation):
        insert_entry(connection, payment_id)


def test_a_replica_of_an_older_release_cannot_add_an_entry(connection, payment_id):
    with pytest.raises(errors.NotNullViolation):
        connection.execute(
            "INSERT INTO ledger_entries (payment_id, movement, currency) VALUES (%s, 'capture', 'USD')",
            [payment_id],
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entries SET amount = amount * 2",
        "UPDATE ledger_entries SET currency = 'EUR'",
        "DELETE FROM ledger_entries",
        "TRUNCATE ledger_entries",
    ],
)
def test_an_entry_is_neither_changed_nor_deleted(connection, payment_id, statement):
    insert_entry(connection, payment_id)
    with pytest.raises(errors.RestrictViolation, match="only ever added to"):
        connection.execute(statement)


@pytest.mark.parametrize(
    "change",
    ["amount_captured = amount + 1", "amount_refunded = 1", "status = 'stolen'", "customer = NULL"],
)
def test_the_database_refuses_an_invalid_payment(connection, payment_id, change):
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


def test_an_empty_ledger_is_an_empty_page(orders, auth):
    answer = orders.app.test_client().get("/payments/ledger", headers=auth.bearer(role="admin"))
    assert answer.json == {"data": [], "next": None}
