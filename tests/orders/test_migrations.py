"""Migrations from the first release, with unfinished orders at every step."""

import json
from contextlib import closing

import pytest
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
