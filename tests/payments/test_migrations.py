"""Migrations of existing data."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from shared.migrate import upgrade
from shared.service import migrations_of

PAYMENT = """
INSERT INTO payments (id, order_id, status, customer, amount, currency, provider, payment_method,
                      amount_captured, amount_refunded)
VALUES ('00000000-0000-7000-8000-000000000001', gen_random_uuid(), 'canceled', 'me', 500, 'USD', 'simulated',
        'pm_card_visa', 500, 500);
"""
# The previous release wrote an entry and two lines.
INSERT_ENTRY = """
WITH entry AS (
    INSERT INTO ledger_entries (payment_id, movement, currency)
    VALUES ('00000000-0000-7000-8000-000000000001', :movement, 'USD') RETURNING id)
INSERT INTO ledger_lines (entry_id, account, amount)
SELECT entry.id, line.account, line.amount
FROM entry,
     (VALUES ('receivable', CAST(:received AS bigint)), ('sales', -:received)) AS line (account, amount)
"""


@pytest.fixture
def database(make_old_database):
    """A database before the migration, with a payment that was captured and refunded."""
    database = make_old_database("payments-service", before="0003")
    with database.transaction() as connection:
        connection.execute(text(PAYMENT))
        for movement, received in (("capture", 500), ("refund:1", -200), ("cancel", -300)):
            connection.execute(text(INSERT_ENTRY), {"movement": movement, "received": received})
    return database


def read(database, query):
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_each_entry_of_two_lines_becomes_one_row_with_the_same_id_time_and_amount(database):
    kept = "SELECT id, payment_id, movement, currency, created_at FROM ledger_entries ORDER BY id"
    before = read(database, kept)
    upgrade(database, migrations_of("payments-service"))
    assert read(database, kept) == before
    assert read(database, "SELECT movement, debit, credit, amount FROM ledger_entries ORDER BY id") == [
        ("capture", "receivable", "sales", 500),
        ("refund:1", "sales", "receivable", 200),
        ("cancel", "sales", "receivable", 300),
    ]
    with pytest.raises(DatabaseError, match="only ever added to"):
        read(database, "DELETE FROM ledger_entries RETURNING id")


def test_a_replica_of_the_previous_release_fails_and_writes_nothing(database):
    upgrade(database, migrations_of("payments-service"))

    def capture() -> None:
        with database.transaction() as connection:
            connection.execute(text("UPDATE payments SET amount_refunded = 0"))
            connection.execute(text(INSERT_ENTRY), {"movement": "late", "received": 1})

    with pytest.raises(DatabaseError, match="ledger_lines"):
        capture()
    assert read(database, "SELECT amount_refunded FROM payments") == [(500,)]
    assert read(database, "SELECT count(*) FROM ledger_entries") == [(3,)]


def test_an_unbalanced_entry_stops_the_upgrade_with_its_id_and_changes_nothing(database):
    with database.transaction() as connection:
        # Only a superuser could create such an entry.
        connection.execute(text("ALTER TABLE ledger_lines DISABLE TRIGGER USER"))
        connection.execute(text("UPDATE ledger_lines SET amount = 1 WHERE amount = 300"))
        connection.execute(text("ALTER TABLE ledger_lines ENABLE TRIGGER USER"))
    [(entry,)] = read(database, "SELECT entry_id FROM ledger_lines WHERE amount = 1")
    with pytest.raises(DatabaseError, match=f"{entry} is not of two lines"):
        upgrade(database, migrations_of("payments-service"))
    assert read(database, "SELECT count(*) FROM ledger_lines") == [(6,)]
    assert read(database, "SELECT version_num FROM alembic_version") == [("0002",)]
