"""The sweep: interrupted payments, reconciliation, old rows, and the wake-up of orders."""

from contextlib import closing
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from payments.app import create_app
from payments.clients.orders import OrdersClient
from payments.domain.payments import REQUIRES_CAPTURE, Change, Charge
from payments.errors import ProviderUnavailable
from payments.repository import jobs
from payments.use_cases import sweep
from shared.ids import new_id
from tests.conftest import FakeServer
from tests.payments.conftest import Orders, raise_unavailable, run_concurrently


def age_payment(tables):
    """Move the only payment and its charge five minutes into the past, in the time of their ids."""
    row = tables.payment()
    older = UUID(int=row["id"].int - (5 * 60 * 1000 << 80))
    with tables.connection.transaction():
        # This disables the foreign keys for the transaction.
        tables.write("SET LOCAL session_replication_role = replica")
        tables.write("UPDATE payments SET id = %s", older)
        tables.write("UPDATE simulated_charges SET key = %s", str(older))


@pytest.mark.parametrize("when", ["before authorize", "after authorize"])
def test_an_interrupted_authorization_is_completed_and_its_order_woken(
    orders, tables, provider, fake_orders, check, order_id, when
):
    provider.lose_response(when)
    orders.authorize(order_id)
    check()
    assert tables.payment()["status"] == "requires_capture"
    assert fake_orders.woken == [order_id]
    assert tables.payment()["look_at"] is None


def test_a_completed_step_schedules_no_check(orders, tables, order_id):
    for step in (orders.authorize, orders.capture, orders.cancel):
        step(order_id)
        assert tables.payment()["look_at"] is None


def test_a_recent_payment_is_not_checked(orders, tables, provider, database, order_id):
    provider.lose_response("before authorize")
    orders.authorize(order_id)
    sweep.check_due_payments(database, provider, lambda _order: None)
    assert tables.payment()["status"] == "processing"


@pytest.mark.parametrize("when", ["before release", "after release"])
def test_an_interrupted_cancel_is_completed(orders, tables, provider, check, order_id, when):
    orders.authorize(order_id)
    orders.capture(order_id)
    provider.lose_response(when)
    orders.cancel(order_id)
    assert orders.capture(order_id).json["code"] == "payment_closed"
    check()
    assert tables.payment()["status"] == "canceled"
    assert tables.movements() == ["capture", "cancel"]


def test_an_unavailable_provider_postpones_the_next_check(orders, tables, provider, check, order_id):
    provider.lose_response("before authorize")
    orders.authorize(order_id)
    provider.lose_response("before authorize")
    check()
    (row,) = tables.read("SELECT status, look_at > now() + interval '5 seconds' AS later FROM payments")
    assert row == {"status": "processing", "later": True}
    check()
    assert tables.payment()["status"] == "requires_capture"


def test_only_one_of_two_concurrent_sweeps_checks_a_payment(orders, tables, provider, database, order_id):
    provider.lose_response("before authorize")
    orders.authorize(order_id)
    tables.write("UPDATE payments SET look_at = now()")
    run_concurrently(*[lambda: sweep.check_due_payments(database, provider, lambda _order: None)] * 2)
    assert provider.calls == ["authorize", "authorize"]


def test_an_event_during_the_recording_of_a_result_is_kept(orders, tables, provider, database, order_id):
    def receive_event():
        sweep.handle_event(database, "evt_1", payment_id=tables.payment()["id"])

    provider.interrupt("after authorize", receive_event)
    orders.authorize(order_id)
    assert tables.payment()["look_at"] is not None
    sweep.check_due_payments(database, provider, lambda _order: None)
    assert tables.payment()["look_at"] is None


def test_an_event_is_handled_once(orders, tables, database, order_id):
    orders.authorize(order_id)
    payment_id = tables.payment()["id"]
    assert sweep.handle_event(database, "evt_1", payment_id=payment_id)
    assert not sweep.handle_event(database, "evt_1", payment_id=payment_id)
    assert not sweep.handle_event(database, "evt_2", payment_id=new_id())


def test_money_that_the_provider_released_cannot_be_captured(orders, tables, reconcile, order_id):
    orders.authorize(order_id)
    age_payment(tables)
    tables.write("UPDATE simulated_charges SET released = true")
    reconcile()
    assert tables.payment()["status"] == "canceled"
    for _ in range(2):
        answer = orders.capture(order_id)
        assert (answer.status_code, answer.json["code"]) == (409, "capture_failed")
        assert answer.json["decline_code"] == "authorization_released"
    assert orders.cancel(order_id).json["status"] == "canceled"


def test_a_capture_that_only_the_provider_knows_is_recorded(orders, tables, reconcile, order_id, caplog):
    orders.authorize(order_id)
    age_payment(tables)
    tables.write("UPDATE simulated_charges SET amount_captured = amount")
    reconcile()
    assert (tables.payment()["status"], tables.movements()) == ("succeeded", ["capture"])
    assert "The provider changed a payment without a request" in caplog.messages


def test_money_held_for_a_canceled_payment_is_released(orders, tables, reconcile, order_id, caplog):
    orders.authorize(order_id)
    orders.cancel(order_id)
    age_payment(tables)
    tables.write("UPDATE simulated_charges SET released = false")
    reconcile()
    assert [charge["released"] for charge in tables.charges()] == [True]
    assert "The provider still had money of a canceled payment" in caplog.messages


def test_a_payment_that_the_provider_does_not_know_is_reported(orders, tables, reconcile, order_id, caplog):
    orders.authorize(order_id)
    age_payment(tables)
    tables.write("DELETE FROM simulated_charges")
    reconcile()
    assert "The provider does not know this payment" in caplog.messages
    assert tables.payment()["status"] == "requires_capture"


def test_a_charge_without_a_payment_is_reported(tables, reconcile, orders, caplog):
    tables.write(
        "INSERT INTO simulated_charges (key, amount, currency, payment_method) SELECT uuidv7(interval '-5"
        " minutes')::text, 1, 'USD', 'pm_card_visa'"
    )
    reconcile()
    assert "The provider has a charge of an unknown payment" in caplog.messages


def test_a_payment_that_matches_its_charge_is_not_changed(
    orders, tables, provider, reconcile, order_id, caplog
):
    orders.authorize(order_id)
    orders.capture(order_id)
    orders.refund(order_id, 1299)
    age_payment(tables)
    caplog.clear()
    reconcile()
    assert [record for record in caplog.records if record.levelname != "INFO"] == []
    assert tables.payment()["look_at"] is None


def test_a_second_charge_is_released_and_an_unknown_charge_is_reported(
    orders, provider, database, order_id, tables, caplog, monkeypatch
):
    orders.authorize(order_id)
    payment_id = tables.payment()["id"]
    released = []
    monkeypatch.setattr(
        provider,
        "read_changes",
        lambda _since, _until: iter(
            [
                Change("second", payment_id, Charge(REQUIRES_CAPTURE)),
                Change("unknown", None, Charge(REQUIRES_CAPTURE)),
            ]
        ),
    )
    monkeypatch.setattr(
        provider, "release", lambda payment: released.append((payment.id, payment.provider_reference))
    )
    tables.write("UPDATE jobs SET next_at = now(), position = now() - interval '10 minutes'")
    sweep.reconcile(database, provider)
    assert released == [(payment_id, "second")]
    assert "The provider has a charge without a payment id" in caplog.messages
    assert orders.find(order_id).json["status"] == "requires_capture"


def test_a_replica_with_a_fast_clock_skips_no_interval(tables, provider, database, monkeypatch):
    class FastClock(datetime):
        """A clock five minutes ahead of the database's."""

        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(minutes=5)

    monkeypatch.setattr("payments.use_cases.sweep.datetime", FastClock)
    tables.write("UPDATE jobs SET next_at = now(), position = now() - interval '10 minutes'")
    requested = []
    monkeypatch.setattr(provider, "read_changes", lambda _since, until: requested.append(until) or [])
    sweep.reconcile(database, provider)
    (row,) = tables.read("SELECT position, now() AS now FROM jobs WHERE name = 'reconcile'")
    assert requested == [row["position"]]
    assert row["now"] - row["position"] >= sweep.RECONCILE_AGE


def test_one_replica_claims_a_job_and_a_failed_round_is_repeated(
    orders, tables, provider, database, monkeypatch
):
    tables.write("UPDATE jobs SET next_at = now(), position = now() - interval '10 minutes'")
    (before,) = tables.read("SELECT position FROM jobs WHERE name = 'reconcile'")
    monkeypatch.setattr(provider, "read_changes", raise_unavailable)
    with pytest.raises(ProviderUnavailable):
        sweep.reconcile(database, provider)
    assert tables.read("SELECT position FROM jobs WHERE name = 'reconcile'") == [before]
    with database.transaction() as connection:
        assert jobs.claim_job(connection, "reconcile", every=timedelta(minutes=1)) is None
    monkeypatch.undo()
    tables.write("UPDATE jobs SET next_at = now()")
    sweep.reconcile(database, provider)
    (after,) = tables.read(
        "SELECT position > now() - interval '1 minute' AS done FROM jobs WHERE name = 'reconcile'"
    )
    assert after == {"done": True}


def test_old_keys_and_events_are_deleted(orders, tables, database):
    tables.write(
        "INSERT INTO idempotency_keys (principal, route, key, fingerprint, claimed_until, created_at)"
        " SELECT 'ada', 'POST /', days::text, '', now(), now() - make_interval(days => days)"
        " FROM unnest(ARRAY[1, 3]) AS days"
    )
    tables.write(
        "INSERT INTO provider_events SELECT days::text, now() - make_interval(days => days)"
        " FROM unnest(ARRAY[29, 31]) AS days"
    )
    tables.write("UPDATE jobs SET next_at = now()")
    sweep.delete_old_rows(database)
    assert [row["key"] for row in tables.read("SELECT key FROM idempotency_keys")] == ["1"]
    assert [row["id"] for row in tables.read("SELECT id FROM provider_events")] == ["29"]


class Tokens:
    def current(self) -> str:
        return "a token"


@pytest.fixture
def client(fake_server: FakeServer) -> OrdersClient:
    return OrdersClient(fake_server.url, Tokens())


@pytest.mark.parametrize("status", [204, 404, 500])
def test_an_order_is_woken_with_one_attempt(fake_server, client, status):
    def answer(handler, _body):
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    fake_server.answer = answer
    order_id = new_id()
    client.wake(order_id)
    client.deliver()
    client.deliver()
    assert [request[:2] for request in fake_server.requests] == [
        ("POST", f"/internal/orders/{order_id}/wake")
    ]
    assert fake_server.requests[0][2]["X-Service-Authorization"] == "Bearer a token"


def test_an_unavailable_orders_service_does_not_block_other_requests(fake_server, client):
    fake_server.close()
    for _ in range(2000):
        client.wake(new_id())
    assert len(client._waiting) == 1000
    client._waiting.clear()
    client.wake(new_id())
    client.deliver()
    assert not client._waiting


def test_a_service_without_the_url_of_orders_wakes_no_order(settings, auth, order_id):
    # Unlike the other tests, this one uses no fake orders-service.
    with closing(create_app(settings, auth)) as app:
        assert Orders(app, auth).authorize(order_id).status_code == 200
