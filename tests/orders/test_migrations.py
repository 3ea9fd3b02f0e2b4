"""Migrations from earlier releases, with unfinished orders at every step."""

import hashlib
import json
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from orders.domain import Line
from shared.ids import new_id
from shared.migrate import upgrade
from tests.databases import migrations_of
from tests.orders.conftest import ADDRESS, Buyer, create_quick_app, run_sql
from tests.waiting import wait_for

# Each step of the first release, with the status of an order at it, and its final status.
UNFINISHED = {
    "reserve": ("pending", "paid"),
    "authorize": ("pending", "paid"),
    "await_payment": ("awaiting_payment", "awaiting_payment"),
    "commit": ("confirmed", "paid"),
    "capture": ("confirmed", "paid"),
    "cancel_payment": ("confirmed", "cancelled"),
    "release": ("pending", "cancelled"),
    "refund": ("paid", "refunded"),
    "restock": ("refunded", "refunded"),
}
PAYMENT_STATUSES = {"awaiting_payment": "requires_action", "paid": "succeeded", "refunded": "succeeded"}
DONE = ("paid", "cancelled")
REFUSAL = json.dumps(
    {"reason": "cancelled_by_admin", "status": 409, "code": "order_cancelled", "detail": "No."}
)
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.fixture
def database(make_old_database):
    """A database of the first release."""
    return make_old_database("orders-service", before="0003")


def fill(database, catalog, payments):
    """Write an order for each step, and the finished ones; return their ids."""
    ids = {}
    for number, (step, (status, _end)) in enumerate(UNFINISHED.items(), start=1):
        ids[step] = write_order(database, status, step, number)
        line = Line(number, 1)
        is_held = step != "reserve"
        if is_held:
            catalog.stock[number] -= 1
            catalog.holds[ids[step]] = ("held" if step in {"authorize", "commit"} else "committed", (line,))
        if step not in {"reserve", "authorize", "release"}:
            is_taken = PAYMENT_STATUSES.get(status) == "succeeded"
            payments.payments[ids[step]] = {
                "id": new_id(),
                "status": PAYMENT_STATUSES.get(status, "requires_capture"),
                "amount": 1000,
                "captured": 1000 if is_taken else 0,
                "refunded": 1000 if step == "restock" else 0,
            }
    for status in DONE:
        ids[status] = write_order(database, status, None, 9)
    return ids


def write_order(database, status, step, product):
    """Write the rows of an order as the first release writes them."""
    order = new_id()
    run_sql(
        database,
        """
        INSERT INTO orders (id, customer, status, reason, payment_method, shipping_address, currency,
                            items_amount, amount_refunded, next_step, refusal, lease_token, lease_until,
                            attempts, deadline, request_id, traceparent)
        VALUES (:id, 'ada', :status, :reason, 'pm_card_visa', CAST(:address AS jsonb), 'USD', 1000, :refunded,
                :step, CAST(:refusal AS jsonb), gen_random_uuid(), now() + interval '10 s', 3,
                now() + interval '2 min', 'r', :trace)
        """,
        id=order,
        status=status,
        reason="payment_declined" if status == "cancelled" else None,
        address=json.dumps(ADDRESS),
        refunded=1000 if status == "refunded" else 0,
        step=step,
        refusal=REFUSAL if step in {"cancel_payment", "release"} else None,
        trace=TRACE,
    )
    run_sql(
        database,
        "INSERT INTO order_lines VALUES (:id, :product, 1, 'SKU', 'Thing', 1000)",
        id=order,
        product=product,
    )
    run_sql(
        database,
        "INSERT INTO order_events (order_id, kind, to_status, actor)"
        " VALUES (:id, 'placed', 'pending', 'ada')",
        id=order,
    )
    if step in {"refund", "restock"}:
        run_sql(
            database,
            "INSERT INTO refunds (id, order_id, amount, restock, status, actor)"
            " VALUES (gen_random_uuid(), :id, 1000, true, :status, 'boss')",
            id=order,
            status="pending" if step == "refund" else "succeeded",
        )
    return order


@pytest.mark.usefixtures("quick_retries")
def test_unfinished_orders_at_every_step_are_migrated_and_finish(database, standing, auth, catalog, payments):
    ids = fill(database, catalog, payments)
    upgrade(database, migrations_of("orders-service"))
    kept = run_sql(database, "SELECT id, status FROM orders")
    assert dict(kept) == {
        order: UNFINISHED[step][0] if step in UNFINISHED else step for step, order in ids.items()
    }
    settings = standing.settings.model_copy(
        update={"database_url": database.engine.url.render_as_string(hide_password=False)}
    )
    with closing(create_quick_app(settings, auth, catalog, payments)) as app:
        buyer = Buyer(app, auth, "ada")
        ends = {
            **{step: end for step, (_status, end) in UNFINISHED.items()},
            **{status: status for status in DONE},
        }

        def read_ends():
            return {step: buyer.get(f"/orders/{order}").json["status"] for step, order in ids.items()}

        wait_for(lambda: read_ends() == ends)
        wait_for(lambda: run_sql(database, "SELECT next_step FROM order_work") == [("await_payment",)])
        payments.confirm(ids["await_payment"])
        wait_for(lambda: buyer.get(f"/orders/{ids['await_payment']}").json["status"] == "paid")
    # One unit of each product is sold, except for cancelled and refunded orders.
    assert catalog.stock == {
        number: 100 if UNFINISHED[step][1] in {"cancelled", "refunded"} else 99
        for number, step in enumerate(UNFINISHED, start=1)
    }
    assert [refund.amount for refund in payments.refunds.values()] == [1000]


def test_a_replica_of_the_first_release_can_write_no_order_any_more(database):
    upgrade(database, migrations_of("orders-service"))
    for statement in (
        "UPDATE orders SET lease_token = gen_random_uuid(), lease_until = now()",
        "UPDATE orders SET next_attempt_at = now(), attempts = 0",
        "INSERT INTO orders (id, lease_until, deadline) VALUES (gen_random_uuid(), now(), now())",
    ):
        with pytest.raises(ProgrammingError, match="does not exist"):
            run_sql(database, statement)


NEW_COLUMNS = {
    *("parent_id", "only_variant", "number", "billing_address", "note", "expected_amount", "coupon"),
    *("shipping_method", "adjustments", "tax_amount", "amount", "discount_amount", "tax_rate"),
    "transaction_id",
}
PREVIOUS_TABLES = ("orders", "order_lines", "order_events", "order_work", "cart_items", "idempotency_keys")
ORDERED = json.dumps(
    {
        "payment_method": "pm_card_visa",
        "shipping_address": ADDRESS,
        "items": [{"product_id": 1, "quantity": 2}],
    }
).encode()
ANSWERED = b'{"id": "018f5c41-5d80-7a2b-8e14-7fbc9d512f04",  "items": [{"product_id": 1, "quantity": 2}]}'


def hash_text(content):
    return hashlib.sha256(content).hexdigest()


def fill_before_variants(database):
    """Write a paid order with its stored answer, a pending one, and a cart; return the ids of the orders."""
    ids = new_id(), new_id()
    for order_id, status in zip(ids, ("paid", "pending"), strict=True):
        run_sql(
            database,
            """
            INSERT INTO orders (id, customer, status, payment_method, shipping_address, currency,
                                items_amount, request_id, traceparent)
            VALUES (:id, 'ada', :status, 'pm_card_visa', CAST(:address AS jsonb), 'USD', 1000, 'r', :trace)
            """,
            id=order_id,
            status=status,
            address=json.dumps(ADDRESS),
            trace=TRACE,
        )
    run_sql(database, "INSERT INTO order_lines VALUES (:id, 1, 2, 'SKU', 'Thing', 500)", id=ids[0])
    run_sql(
        database, "INSERT INTO order_lines (order_id, product_id, quantity) VALUES (:id, 2, 1)", id=ids[1]
    )
    run_sql(
        database,
        "INSERT INTO order_work (order_id, next_step, deadline, request_id, traceparent)"
        " VALUES (:id, 'reserve', now() + interval '2 min', 'r', :trace)",
        id=ids[1],
        trace=TRACE,
    )
    run_sql(
        database,
        "INSERT INTO cart_items (owner, product_id, quantity, unit_amount) VALUES ('ada', 1, 2, 900)",
    )
    run_sql(
        database,
        """
        INSERT INTO idempotency_keys (principal, route, key, fingerprint, order_id, status, content_type,
                                      body)
        VALUES ('ada', 'POST /orders', :key, :fingerprint, :id, 201, 'application/json', :body)
        """,
        key=hash_text(b"a key"),
        fingerprint=hash_text(ORDERED),
        id=ids[0],
        body=ANSWERED,
    )
    return ids


def read_rows(database):
    """Return the rows of each table without the new columns, and the tables' files."""
    rows = {
        table: sorted(
            str({name: value for name, value in row[0].items() if name not in NEW_COLUMNS})
            for row in run_sql(database, f"SELECT to_jsonb({table}) FROM {table}")
        )
        for table in PREVIOUS_TABLES
    }
    files = run_sql(
        database,
        "SELECT relname, pg_relation_filenode(oid) FROM pg_class WHERE relname = ANY (:names)"
        " ORDER BY relname",
        names=list(PREVIOUS_TABLES),
    )
    return rows, files


@pytest.mark.usefixtures("quick_retries")
def test_orders_and_carts_from_before_variants_are_kept_shown_replayed_and_finished(
    make_old_database, standing, auth, catalog, payments
):
    database = make_old_database("orders-service", before="0006")
    paid, pending = fill_before_variants(database)
    before = read_rows(database)
    upgrade(database, migrations_of("orders-service"))
    # The same files: the migration has rewritten no table.
    assert read_rows(database) == before
    assert run_sql(database, "SELECT DISTINCT parent_id, only_variant FROM order_lines") == [(None, None)]
    assert run_sql(database, "SELECT DISTINCT number, billing_address, note FROM orders") == [(None,) * 3]
    settings = standing.settings.model_copy(
        update={"database_url": database.engine.url.render_as_string(hide_password=False)}
    )
    with closing(create_quick_app(settings, auth, catalog, payments)) as app:
        buyer = Buyer(app, auth, "ada")
        line = buyer.get(f"/orders/{paid}").json["items"][0]
        assert (line["product_id"], line["variant_id"], line["unit_amount"]) == (1, 1, 500)
        item = buyer.get("/cart").json["items"][0]
        assert (item["product_id"], item["variant_id"], item["previous_unit_amount"]) == (1, 1, 900)
        replayed = buyer.call("POST", "/orders", key="a key", data=ORDERED, content_type="application/json")
        assert (replayed.status_code, replayed.data) == (201, ANSWERED)
        assert replayed.headers["Idempotent-Replayed"] == "true"
        wait_for(lambda: buyer.get(f"/orders/{pending}").json["status"] == "paid")
    assert catalog.stock == dict.fromkeys(range(1, 10), 100) | {2: 99}


def test_replicas_of_the_release_before_variants_write_and_read_on(database):
    upgrade(database, migrations_of("orders-service"))
    order_id = new_id()
    run_sql(
        database,
        """
        INSERT INTO orders (id, customer, status, payment_method, shipping_address, request_id, traceparent)
        VALUES (:id, 'ada', 'pending', 'pm_card_visa', '{}', 'r', 't')
        """,
        id=order_id,
    )
    for statement in (
        "INSERT INTO order_lines (order_id, product_id, quantity) VALUES (:id, 1, 2)",
        "UPDATE order_lines SET sku = 'S', title = 'T', unit_amount = 5 WHERE order_id = :id",
        "INSERT INTO cart_items (owner, product_id, quantity) SELECT order_id::text, 1, 2 FROM order_lines"
        " WHERE order_id = :id",
    ):
        run_sql(database, statement, id=order_id)
    assert run_sql(database, "SELECT parent_id, only_variant FROM order_lines") == [(None, None)]
    assert run_sql(database, "SELECT parent_id FROM cart_items") == [(None,)]


def test_events_of_the_release_before_have_no_transaction_and_all_later_ones_have(make_old_database):
    database = make_old_database("orders-service", before="0009")
    paid, pending = fill_before_variants(database)
    # As replicas of any release write it.
    event = "INSERT INTO order_events (order_id, kind, actor) VALUES (:id, :kind, 'ada')"
    run_sql(database, event, id=paid, kind="earlier")
    before = read_rows(database)
    upgrade(database, migrations_of("orders-service"))
    assert read_rows(database) == before
    with database.transaction() as connection:
        for kind in ("later", "last"):
            connection.execute(text(event), {"id": pending, "kind": kind})
        own = connection.execute(text("SELECT CAST(pg_current_xact_id() AS text)")).scalar_one()
    found = run_sql(database, "SELECT kind, CAST(transaction_id AS text) FROM order_events ORDER BY id")
    assert found == [("earlier", None), ("later", own), ("last", own)]
    valid = (
        "SELECT indisvalid FROM pg_index WHERE indexrelid = CAST('order_events_by_transaction' AS regclass)"
    )
    assert run_sql(database, valid) == [(True,)]
