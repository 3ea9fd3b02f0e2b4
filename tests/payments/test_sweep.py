"""What is found without anybody asking: loose ends, and what the two books do not agree about."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from payments.app import create_app
from payments.clients.orders import OrdersClient
from payments.domain import REQUIRES_CAPTURE, Change, Charge
from payments.errors import ProviderUnavailable
from payments.repository import jobs
from payments.use_cases import sweep
from shared.ids import new_id
from tests.conftest import FakeServer
from tests.payments.conftest import Orders


def drop_line():
    raise ProviderUnavailable


@pytest.fixture
def look(books, provider, database, sleepy_orders):
    """Look at every payment that is unsettled, as if its time had come."""

    def look():
        books.write("UPDATE payments SET look_at = now() WHERE look_at IS NOT NULL")
        sweep.look_after_payments(database, provider, sleepy_orders.wake)

    return look


@pytest.fixture
def reconcile(books, provider, database):
    """Compare the books of the last hour, as if nothing in it were fresh, and look at what differs."""

    def reconcile():
        books.write("UPDATE jobs SET next_at = now(), position = now() - interval '10 minutes'")
        books.write("UPDATE payments SET updated_at = now() - interval '5 minutes'")
        sweep.reconcile(database, provider)
        sweep.look_after_payments(database, provider, lambda _order: None)

    return reconcile


def make_older(books):
    """Move the only payment and its charge five minutes into the past, which their ids tell."""
    row = books.payment()
    older = UUID(int=row["id"].int - (5 * 60 * 1000 << 80))
    with books.connection.transaction():
        books.write(
            "SET LOCAL session_replication_role = replica"
        )  # Without the foreign keys, for this once.
        books.write("UPDATE payments SET id = %s", older)
        books.write("UPDATE simulated_charges SET key = %s", str(older))


@pytest.mark.parametrize("when", ["before authorize", "after authorize"])
def test_a_payment_left_processing_is_asked_for_again_and_its_order_woken(
    orders, books, provider, sleepy_orders, look, order_id, when
):
    provider.interrupt(when, drop_line)
    orders.authorize(order_id)
    look()
    assert books.payment()["status"] == "requires_capture"
    assert sleepy_orders.woken == [order_id]
    assert books.payment()["look_at"] is None


def test_an_answered_payment_is_not_looked_at_again(orders, books, order_id):
    for step in (orders.authorize, orders.capture, orders.cancel):
        step(order_id)
        assert books.payment()["look_at"] is None


def test_a_fresh_payment_is_left_to_whoever_asked(orders, books, provider, database, order_id):
    provider.interrupt("before authorize", drop_line)
    orders.authorize(order_id)
    sweep.look_after_payments(database, provider, lambda _order: None)
    assert books.payment()["status"] == "processing"


@pytest.mark.parametrize("when", ["before release", "after release"])
def test_a_cancel_that_died_is_finished(orders, books, provider, look, order_id, when):
    orders.authorize(order_id)
    orders.capture(order_id)
    provider.interrupt(when, drop_line)
    orders.cancel(order_id)
    assert orders.capture(order_id).json["code"] == "payment_closed"
    look()
    assert books.payment()["status"] == "canceled"
    assert books.movements() == ["capture", "cancel"]


def test_a_provider_that_stays_away_is_asked_again_later(orders, books, provider, look, order_id):
    provider.interrupt("before authorize", drop_line)
    orders.authorize(order_id)
    provider.interrupt("before authorize", drop_line)
    look()
    (row,) = books.read("SELECT status, look_at > now() + interval '5 seconds' AS later FROM payments")
    assert row == {"status": "processing", "later": True}
    look()
    assert books.payment()["status"] == "requires_capture"


def test_of_two_replicas_that_sweep_at_once_one_looks(orders, books, provider, database, order_id):
    provider.interrupt("before authorize", drop_line)
    orders.authorize(order_id)
    books.write("UPDATE payments SET look_at = now()")
    together = threading.Barrier(2)

    def go(_number):
        together.wait()
        sweep.look_after_payments(database, provider, lambda _order: None)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(go, range(2)))
    assert provider.calls == ["authorize", "authorize"]


def test_an_event_that_comes_while_the_answer_is_recorded_is_not_forgotten(
    orders, books, provider, database, order_id
):
    def hear():
        sweep.take_notice(database, "evt_1", payment_id=books.payment()["id"])

    provider.interrupt("after authorize", hear)
    orders.authorize(order_id)
    assert books.payment()["look_at"] is not None
    sweep.look_after_payments(database, provider, lambda _order: None)
    assert books.payment()["look_at"] is None


def test_an_event_is_heard_once(orders, books, database, order_id):
    orders.authorize(order_id)
    payment_id = books.payment()["id"]
    assert sweep.take_notice(database, "evt_1", payment_id=payment_id)
    assert not sweep.take_notice(database, "evt_1", payment_id=payment_id)
    assert not sweep.take_notice(database, "evt_2", payment_id=new_id())


def test_money_that_the_provider_gave_back_by_itself_cannot_be_captured(orders, books, reconcile, order_id):
    orders.authorize(order_id)
    make_older(books)
    books.write("UPDATE simulated_charges SET released = true")
    reconcile()
    assert books.payment()["status"] == "canceled"
    for _ in range(2):
        answer = orders.capture(order_id)
        assert (answer.status_code, answer.json["code"]) == (409, "capture_failed")
        assert answer.json["decline_code"] == "authorization_released"
    assert orders.cancel(order_id).json["status"] == "canceled"


def test_a_capture_that_only_the_provider_knows_of_is_booked(orders, books, reconcile, order_id, caplog):
    orders.authorize(order_id)
    make_older(books)
    books.write("UPDATE simulated_charges SET amount_captured = amount")
    reconcile()
    assert (books.payment()["status"], books.movements()) == ("succeeded", ["capture"])
    assert "The provider moved a payment without having been asked" in caplog.messages


def test_money_held_for_a_canceled_payment_is_given_back(orders, books, reconcile, order_id, caplog):
    orders.authorize(order_id)
    orders.cancel(order_id)
    make_older(books)
    books.write("UPDATE simulated_charges SET released = false")
    reconcile()
    assert [charge["released"] for charge in books.charges()] == [True]
    assert "The provider still had money of a canceled payment" in caplog.messages


def test_a_payment_that_the_provider_does_not_know_is_reported(orders, books, reconcile, order_id, caplog):
    orders.authorize(order_id)
    make_older(books)
    books.write("DELETE FROM simulated_charges")
    reconcile()
    assert "The provider does not know this payment" in caplog.messages
    assert books.payment()["status"] == "requires_capture"


def test_a_charge_without_a_payment_is_reported(books, reconcile, orders, caplog):
    books.write(
        "INSERT INTO simulated_charges (key, amount, currency, payment_method) SELECT uuidv7(interval '-5"
        " minutes')::text, 1, 'USD', 'pm_card_visa'"
    )
    reconcile()
    assert "The provider has a charge of a payment that is not there" in caplog.messages


def test_books_that_agree_are_left_alone(orders, books, provider, reconcile, order_id, caplog):
    orders.authorize(order_id)
    orders.capture(order_id)
    orders.refund(order_id, 1299)
    make_older(books)
    caplog.clear()
    reconcile()
    assert [record for record in caplog.records if record.levelname != "INFO"] == []
    assert books.payment()["look_at"] is None


def test_a_second_charge_of_a_payment_is_released_and_a_strange_one_reported(
    orders, provider, database, order_id, books, caplog, monkeypatch
):
    orders.authorize(order_id)
    payment_id = books.payment()["id"]
    released = []
    monkeypatch.setattr(
        provider,
        "read_changes",
        lambda _since, _until: iter(
            [
                Change("another", payment_id, Charge(REQUIRES_CAPTURE)),
                Change("strange", None, Charge(REQUIRES_CAPTURE)),
            ]
        ),
    )
    monkeypatch.setattr(
        provider, "release", lambda payment: released.append((payment.id, payment.provider_reference))
    )
    books.write("UPDATE jobs SET next_at = now(), position = now() - interval '10 minutes'")
    sweep.reconcile(database, provider)
    assert released == [(payment_id, "another")]
    assert "The provider has a charge that is not ours" in caplog.messages
    assert orders.find(order_id).json["status"] == "requires_capture"


def test_a_replica_whose_clock_is_fast_leaves_nothing_out(books, provider, database, monkeypatch):
    class FastClock(datetime):
        """Five minutes ahead of the database's."""

        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(minutes=5)

    monkeypatch.setattr("payments.use_cases.sweep.datetime", FastClock)
    books.write("UPDATE jobs SET next_at = now(), position = now() - interval '10 minutes'")
    asked = []
    monkeypatch.setattr(provider, "read_changes", lambda _since, until: asked.append(until) or [])
    sweep.reconcile(database, provider)
    (row,) = books.read("SELECT position, now() AS now FROM jobs WHERE name = 'reconcile'")
    assert asked == [row["position"]]
    assert row["now"] - row["position"] >= sweep.YOUNGEST


def test_a_job_has_one_taker_and_a_failed_round_is_repeated(orders, books, provider, database, monkeypatch):
    books.write("UPDATE jobs SET next_at = now(), position = now() - interval '10 minutes'")
    (before,) = books.read("SELECT position FROM jobs WHERE name = 'reconcile'")
    monkeypatch.setattr(provider, "read_changes", lambda _since, _until: drop_line())
    with pytest.raises(ProviderUnavailable):
        sweep.reconcile(database, provider)
    assert books.read("SELECT position FROM jobs WHERE name = 'reconcile'") == [before]
    with database.transaction() as connection:
        assert jobs.claim_job(connection, "reconcile", every=timedelta(minutes=1)) is None
    monkeypatch.undo()
    books.write("UPDATE jobs SET next_at = now()")
    sweep.reconcile(database, provider)
    (after,) = books.read(
        "SELECT position > now() - interval '1 minute' AS done FROM jobs WHERE name = 'reconcile'"
    )
    assert after == {"done": True}


def test_what_nobody_repeats_any_more_is_forgotten(orders, books, database):
    books.write(
        "INSERT INTO idempotency_keys (principal, route, key, fingerprint, claimed_until, created_at)"
        " SELECT 'ada', 'POST /', days::text, '', now(), now() - make_interval(days => days)"
        " FROM unnest(ARRAY[1, 3]) AS days"
    )
    books.write(
        "INSERT INTO provider_events SELECT days::text, now() - make_interval(days => days)"
        " FROM unnest(ARRAY[29, 31]) AS days"
    )
    books.write("UPDATE jobs SET next_at = now()")
    sweep.forget(database)
    assert [row["key"] for row in books.read("SELECT key FROM idempotency_keys")] == ["1"]
    assert [row["id"] for row in books.read("SELECT id FROM provider_events")] == ["29"]


class Tokens:
    def current(self) -> str:
        return "a token"


@pytest.fixture
def client(fake_server: FakeServer) -> OrdersClient:
    return OrdersClient(fake_server.url, Tokens())


@pytest.mark.parametrize("status", [204, 404, 500])
def test_an_order_is_woken_once_whatever_comes_of_it(fake_server, client, status):
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


def test_orders_that_is_away_keeps_nobody_waiting(fake_server, client):
    fake_server.close()
    for _ in range(2000):
        client.wake(new_id())
    assert len(client._waiting) == 1000
    client._waiting.clear()
    client.wake(new_id())
    client.deliver()
    assert not client._waiting


def test_a_service_without_the_address_of_orders_wakes_nobody(settings, auth, order_id):
    # Without the fake that the other tests start with.
    with closing(create_app(settings, auth)) as app:
        assert Orders(app, auth).authorize(order_id).status_code == 200
