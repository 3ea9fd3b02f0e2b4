"""A program that polls the feed of changed orders, and transactions that change orders."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, text

from shared.database import Database
from shared.ids import new_id
from tests.orders.conftest import ADDRESS, Buyer, run_sql
from tests.waiting import wait_for

LONG_AGO = "2000-01-01T00:00:00Z"
INSERT = text("""
    WITH placed AS (
        INSERT INTO orders (id, customer, status, payment_method, shipping_address, request_id, traceparent)
        VALUES (:id, :customer, 'pending', 'pm_card_visa', CAST(:address AS jsonb), 'r', 't')
    )
    INSERT INTO order_events (order_id, kind, actor) VALUES (:id, 'placed', :customer)
""")
CHANGE = text("""
    WITH changed AS (UPDATE orders SET note = :note WHERE id = :id)
    INSERT INTO order_events (order_id, kind, actor) VALUES (:id, 'changed', 'a test')
""")


class Program:
    """A program that polls the feed, and keeps the cursor and the orders."""

    def __init__(self, client: Buyer, *, since: str = LONG_AGO, limit: int = 30) -> None:
        self.client, self.since, self.limit = client, since, limit
        self.cursor: str | None = None
        self.orders: dict[str, Any] = {}

    def send(self) -> Any:
        """Return the answer to the next call."""
        query: dict[str, Any] = {"updated_since": self.since, "limit": self.limit}
        if self.cursor:
            query["cursor"] = self.cursor
        return self.client.call("GET", "/orders", query_string=query)

    def poll(self) -> list[str]:
        """Read a page; return its ids."""
        answer = self.send()
        assert answer.status_code == 200, answer.text
        page = answer.json
        assert page["next"]
        self.cursor = page["next"]
        self.orders |= {order["id"]: order for order in page["data"]}
        ids = [order["id"] for order in page["data"]]
        assert len(ids) == len(set(ids)) <= self.limit
        return ids

    def catch_up(self) -> list[str]:
        """Read pages up to an empty one; return their ids."""
        found: list[str] = []
        while page := self.poll():
            found += page
            assert len(found) < 10_000
        return found


@contextmanager
def transaction(database: Database) -> Iterator[Connection]:
    """Yield a transaction that ends with the block, and has an id from its first statement on."""
    with database.engine.connect() as connection:
        connection.execute(text("SELECT pg_current_xact_id()"))
        yield connection
        connection.commit()


def settle(database: Database) -> None:
    """Wait until all transactions have ended, also PostgreSQL's own, so that the feed shows all changes."""
    last = read_number(database, "pg_current_xact_id()")
    wait_for(lambda: read_number(database, "pg_snapshot_xmin(pg_current_snapshot())") > last)


def read_number(database: Database, expression: str) -> int:
    """Return a transaction id."""
    return int(run_sql(database, f"SELECT CAST({expression} AS text)")[0][0])


def place(database: Database, customer: str = "ada") -> str:
    """Insert an order, and wait until the feed shows it; return its id."""
    order_id = str(new_id())
    with transaction(database) as connection:
        insert(connection, order_id, customer)
    settle(database)
    return order_id


def insert(connection: Connection, order_id: str, customer: str = "ada") -> None:
    """Insert an order."""
    connection.execute(INSERT, {"id": order_id, "customer": customer, "address": json.dumps(ADDRESS)})


def change(database: Database, order_id: str, note: str = "changed") -> None:
    """Change an order, and wait until the feed shows it."""
    with transaction(database) as connection:
        connection.execute(CHANGE, {"id": order_id, "note": note})
    settle(database)
