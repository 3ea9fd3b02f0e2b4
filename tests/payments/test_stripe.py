"""Stripe, as its API answers: by a server in its shape that can fail in every way."""

import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import permutations

import pytest

from payments.clients.simulated import SimulatedProvider
from payments.clients.stripe import StripeProvider
from payments.use_cases import sweep
from shared.ids import new_id
from tests.payments.conftest import Orders
from tests.payments.stripe_server import SECRET_KEY, WEBHOOK_SECRET, StripeServer, sign
from tests.waiting import wait_for

PATIENT, IMPATIENT = 3.0, 0.1  # Seconds.
SILENCES = ["never", "late", "dropped", "error500", "rate_limit", "garbage"]


@pytest.fixture(scope="module")
def only_server():
    with closing(StripeServer()) as server:
        yield server


@pytest.fixture
def server(only_server):
    only_server.forget()
    return only_server


@pytest.fixture
def provider(apps, server):
    apps.provider.provider = StripeProvider(SECRET_KEY, server.url, patience=PATIENT)
    return apps.provider


@pytest.fixture
def app(apps, provider):
    return apps.get(
        payment_provider="stripe",
        stripe_secret_key=SECRET_KEY,
        stripe_webhook_secret=f"whsec_old {WEBHOOK_SECRET}",
    )


@pytest.fixture
def orders(app, auth):
    return Orders(app, auth)


@pytest.fixture
def look(books, provider, database, sleepy_orders):
    def look():
        books.write("UPDATE payments SET look_at = now() WHERE look_at IS NOT NULL")
        sweep.look_after_payments(database, provider, sleepy_orders.wake)

    return look


@pytest.fixture
def send(app):
    """Send an event to the webhook, as Stripe would."""

    def send(event, **signed):
        body = json.dumps(event).encode()
        headers = {"Stripe-Signature": sign(body, **signed), "Content-Type": "application/json"}
        return app.test_client().post("/payments/webhooks/stripe", data=body, headers=headers)

    return send


@pytest.fixture
def give_up_soon(provider):
    """Make a call that is not expected to get an answer."""

    def give_up_soon(call):
        provider.provider._patience = IMPATIENT
        try:
            return call()
        finally:
            provider.provider._patience = PATIENT

    return give_up_soon


def ask_until_it_answers(call):
    for _attempt in range(3):
        answer = call()
        if answer.status_code != 503:
            return answer
    raise AssertionError("It went on failing.")


def assert_books_agree(books, server):
    payment = books.payment()
    (intent,) = server.charge_of(payment["order_id"])
    assert intent["id"] == payment["provider_reference"]
    charge = intent["latest_charge"] or {"amount_refunded": 0}
    assert payment["amount_captured"] == intent["amount_received"]
    assert payment["amount_refunded"] == charge["amount_refunded"]
    kept = payment["amount_captured"] - payment["amount_refunded"]
    assert set(books.balances().values()) <= {kept, -kept}


def test_a_payment_is_an_intent_captured_by_hand_and_named_by_our_ids(orders, books, server, order_id):
    payment = orders.authorize(order_id).json
    assert (payment["status"], payment["provider"]) == ("requires_capture", "stripe")
    (intent,) = server.charge_of(order_id)
    assert (intent["amount"], intent["currency"], intent["capture_method"]) == (1299, "usd", "manual")
    assert intent["metadata"] == {"order_id": str(order_id), "payment_id": payment["id"]}
    assert f"{payment['id']}-create" in server.answers
    assert server.calls[-2:] == ["create", "confirm"]
    assert orders.capture(order_id).json["amount_captured"] == 1299
    refund_id = new_id()
    assert orders.refund(order_id, 299, refund_id).json["payment"]["amount_refunded"] == 299
    assert f"{refund_id}-refund" in server.answers
    assert orders.cancel(order_id).json["amount_refunded"] == 1299
    assert books.movements() == ["capture", f"refund:{refund_id}", "cancel"]
    assert_books_agree(books, server)


def test_the_intent_is_on_record_before_it_can_hold_anything(orders, books, server, order_id):
    seen = []
    server.hooks["before confirm"] = lambda: seen.append(books.payment()["provider_reference"])
    orders.authorize(order_id)
    assert seen == ["pi_0"]


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ],
)
def test_a_declined_card_is_told_with_the_banks_reason(orders, books, server, order_id, method, code):
    for _ in range(2):
        answer = orders.authorize(order_id, payment_method=method)
        assert (answer.status_code, answer.json["decline_code"]) == (402, code)
    assert server.calls.count("confirm") == 1
    assert orders.cancel(order_id).json["status"] == "canceled"
    assert server.charge_of(order_id)[0]["status"] == "canceled"


def test_an_unknown_payment_method_is_refused_each_time_and_nothing_is_held(orders, server, order_id):
    for _ in range(2):
        answer = orders.authorize(order_id, payment_method="pm_of_nobody")
        assert (answer.status_code, answer.json["code"]) == (422, "payment_method_unsupported")
    assert server.charge_of(order_id) == []
    assert orders.cancel(order_id).json["status"] == "canceled"


def test_what_stripe_finds_wrong_is_a_refusal_with_its_code(orders, order_id):
    answer = orders.authorize(order_id, amount=10)
    assert (answer.status_code, answer.json["decline_code"]) == (402, "amount_too_small")


@pytest.mark.parametrize("operation", ["create", "confirm", "retrieve"])
@pytest.mark.parametrize("fault", SILENCES)
def test_an_authorization_without_an_answer_is_found_out_by_asking_again(
    orders, give_up_soon, books, server, order_id, operation, fault
):
    if operation == "retrieve":
        # An intent is retrieved when it is asked for again.
        server.fail("confirm", "dropped")
        assert orders.authorize(order_id).status_code == 503
    server.fail(operation, fault)
    answer = give_up_soon(lambda: orders.authorize(order_id))
    assert (answer.status_code, answer.json["code"]) == (503, "provider_unavailable")
    assert books.payment()["status"] == "processing"
    if (operation, fault) == ("create", "error500"):
        # Stripe gives a 500 again for a day. Nothing can be held by then, so the order may end.
        assert orders.authorize(order_id).status_code == 503
        assert orders.cancel(order_id).json["status"] == "canceled"
        assert server.charge_of(order_id) == []
        return
    assert ask_until_it_answers(lambda: orders.authorize(order_id)).json["status"] == "requires_capture"
    assert ask_until_it_answers(lambda: orders.capture(order_id)).json["status"] == "succeeded"
    assert_books_agree(books, server)


@pytest.mark.parametrize("fault", SILENCES)
def test_a_capture_without_an_answer_is_booked_once(orders, give_up_soon, books, server, order_id, fault):
    orders.authorize(order_id)
    server.fail("capture", fault)
    assert give_up_soon(lambda: orders.capture(order_id)).status_code == 503
    assert ask_until_it_answers(lambda: orders.capture(order_id)).json["status"] == "succeeded"
    assert books.movements() == ["capture"]
    assert_books_agree(books, server)


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("fault", SILENCES)
def test_a_cancel_without_an_answer_gives_back_once(
    orders, give_up_soon, books, server, order_id, fault, captured
):
    orders.authorize(order_id)
    if captured:
        orders.capture(order_id)
    server.fail("refund" if captured else "cancel", fault)
    assert give_up_soon(lambda: orders.cancel(order_id)).status_code == 503
    if captured and fault == "error500":
        server.answers.clear()  # A day later.
    assert ask_until_it_answers(lambda: orders.cancel(order_id)).json["status"] == "canceled"
    assert len(server.refunds) == captured
    assert_books_agree(books, server)


@pytest.mark.parametrize("operation", ["list_refunds", "refund"])
@pytest.mark.parametrize("fault", SILENCES)
def test_a_refund_without_an_answer_is_made_once(
    orders, give_up_soon, books, server, order_id, operation, fault
):
    orders.authorize(order_id)
    orders.capture(order_id)
    server.fail(operation, fault)
    refund_id = new_id()
    assert give_up_soon(lambda: orders.refund(order_id, 300, refund_id)).status_code == 503
    # Even when Stripe has forgotten the key, the refund itself is found.
    server.answers.clear()
    answer = ask_until_it_answers(lambda: orders.refund(order_id, 300, refund_id))
    assert answer.json["payment"]["amount_refunded"] == 300
    assert len(server.refunds) == 1
    assert_books_agree(books, server)


def test_no_thread_is_kept_longer_than_the_patience_with_all_calls_together(orders, provider, server):
    for operation in ("confirm", "retrieve"):
        server.fail(operation, "never", "late")
    provider.provider._patience = 1.0

    def measure(_number):
        began = time.monotonic()
        assert orders.authorize(new_id()).status_code == 503
        return time.monotonic() - began

    with ThreadPoolExecutor(2) as pool:
        assert max(pool.map(measure, range(2))) < 2 * 1.0


@pytest.mark.parametrize("when", ["create", "confirm"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_cancel_during_an_authorization_leaves_nothing_held(orders, books, server, order_id, when, moment):
    server.hooks[f"{moment} {when}"] = lambda: orders.cancel(order_id)
    answer = orders.authorize(order_id)
    assert (answer.status_code, answer.json["code"]) == (409, "payment_closed")
    assert books.payment()["status"] == "canceled"
    assert {intent["status"] for intent in server.charge_of(order_id)} <= {
        "canceled",
        "requires_confirmation",
    }


def test_a_cancel_during_a_capture_leaves_nothing_taken(orders, books, server, order_id):
    orders.authorize(order_id)
    server.hooks["after capture"] = lambda: orders.cancel(order_id)
    assert orders.capture(order_id).json["code"] == "payment_closed"
    assert_books_agree(books, server)
    assert books.payment()["amount_refunded"] == 1299


def test_a_capture_that_stripe_refuses_for_good(orders, server, order_id):
    orders.authorize(order_id, payment_method="pm_card_captureRefused")
    answer = orders.capture(order_id)
    assert (answer.status_code, answer.json["code"]) == (409, "capture_failed")
    assert answer.json["decline_code"] == "charge_expired_for_capture"
    assert orders.cancel(order_id).json["status"] == "canceled"


def test_a_hold_that_stripe_gave_up_cannot_be_captured(orders, server, order_id):
    orders.authorize(order_id)
    server._cancel(server.charge_of(order_id)[0])
    answer = orders.capture(order_id)
    assert (answer.json["code"], answer.json["decline_code"]) == ("capture_failed", "authorization_released")


def test_a_refund_that_stripe_refuses_for_good(orders, server, order_id):
    orders.authorize(order_id)
    orders.capture(order_id)
    server.charge_of(order_id)[0]["latest_charge"]["amount_refunded"] = 1299
    answer = orders.refund(order_id, 300)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_failed")
    assert answer.json["decline_code"] == "charge_already_refunded"


def test_a_key_that_stripe_does_not_accept_is_our_fault_and_nobodys_declined_card(
    start_payments, server, auth, books, order_id, capsys
):
    wrong = start_payments(StripeProvider("sk_test_wrong", server.url))
    answer = Orders(wrong, auth).authorize(order_id)
    assert (answer.status_code, answer.json["code"]) == (503, "provider_unavailable")
    assert books.payment()["status"] == "processing"
    logged = capsys.readouterr().out
    assert "Stripe does not accept STRIPE_SECRET_KEY: 401" in logged
    assert "sk_test_wrong" not in logged


def test_a_payment_of_another_provider_waits_for_it(orders, start_payments, auth, books, order_id, database):
    orders.authorize(order_id)
    books.write("UPDATE payments SET look_at = now()")
    other = Orders(start_payments(SimulatedProvider(database)), auth)
    for call in (other.capture, other.cancel):
        answer = call(order_id)
        assert (answer.status_code, answer.json["code"]) == (503, "provider_unavailable")
        assert "stripe" in answer.json["detail"]
    assert books.charges() == []
    assert orders.cancel(order_id).json["status"] == "canceled"


def test_twenty_at_once_leave_one_intent(orders, server, order_id):
    together = threading.Barrier(20)

    def ask(_number):
        together.wait()
        return orders.authorize(order_id).status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(ask, range(20))) <= {200, 503}
    assert orders.authorize(order_id).json["status"] == "requires_capture"
    assert len(server.charge_of(order_id)) == 1


@pytest.mark.parametrize(("approved", "status"), [(True, 200), (False, 402)])
def test_the_customer_answers_the_bank_and_confirms_here(
    orders, app, auth, server, sleepy_orders, order_id, approved, status
):
    payment = orders.authorize(order_id, payment_method="pm_card_authenticationRequired").json
    (intent,) = server.charge_of(order_id)
    assert payment["status"] == "requires_action"
    assert payment["next_action"]["client_secret"] == intent["client_secret"]

    def confirm(key):
        headers = {**auth.bearer(sub="ada"), "Idempotency-Key": key}
        return app.test_client().post(f"/payments/{payment['id']}/confirm", json={}, headers=headers)

    # Nothing is believed that the bank has not said.
    assert confirm("too soon").json["status"] == "requires_action"
    assert sleepy_orders.woken == []
    server.authenticate(intent, approved=approved)
    assert confirm("now").status_code == status
    assert sleepy_orders.woken == [order_id]


# Events.


def test_an_event_that_stripe_signed_brings_the_payment_up_to_date_and_wakes_the_order(
    orders, books, server, sleepy_orders, look, send, order_id
):
    orders.authorize(order_id, payment_method="pm_card_authenticationRequired")
    server.authenticate(server.charge_of(order_id)[0], approved=True)
    assert send(server.events[-1]).status_code == 200
    look()
    assert books.payment()["status"] == "requires_capture"
    assert sleepy_orders.woken == [order_id]
    assert books.payment()["look_at"] is None


def test_the_webhook_itself_sets_the_sweep_going(
    start_payments, server, books, auth, sleepy_orders, order_id
):
    app = start_payments(
        StripeProvider(SECRET_KEY, server.url),
        sweeps=True,
        payment_provider="stripe",
        stripe_secret_key=SECRET_KEY,
        stripe_webhook_secret=WEBHOOK_SECRET,
    )
    Orders(app, auth).authorize(order_id, payment_method="pm_card_authenticationRequired")
    server.authenticate(server.charge_of(order_id)[0], approved=True)
    body = json.dumps(server.events[-1]).encode()
    headers = {"Stripe-Signature": sign(body)}
    assert app.test_client().post("/payments/webhooks/stripe", data=body, headers=headers).status_code == 200
    wait_for(lambda: sleepy_orders.woken == [order_id])
    assert books.payment()["status"] == "requires_capture"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_events_in_any_order_and_each_of_them_twice_come_to_the_same(
    orders, books, server, look, send, order_id, order
):
    orders.authorize(order_id)
    server.fail("capture", "dropped")
    orders.capture(order_id)
    server.events.append({**server.events[-1], "id": "evt_later"})
    for number in order:
        for _ in range(2):
            assert send(server.events[number]).status_code == 200
            look()
    assert books.payment()["status"] == "succeeded"
    assert books.movements() == ["capture"]
    assert len(books.read("SELECT FROM provider_events")) == 3


def test_an_event_before_the_answer_is_recorded_once(orders, books, server, look, send, order_id):
    def hear():
        send(server.events[-1])
        look()

    server.hooks["after confirm"] = hear
    assert orders.authorize(order_id).json["status"] == "requires_capture"
    server.hooks["after capture"] = hear
    assert orders.capture(order_id).json["status"] == "succeeded"
    assert books.movements() == ["capture"]


def test_an_event_about_a_refund_leads_to_its_payment(orders, books, send, order_id):
    orders.authorize(order_id)
    reference = books.payment()["provider_reference"]
    thing = {"object": "charge", "id": "ch_1", "payment_intent": reference}
    assert send({"id": "evt_1", "type": "charge.refunded", "data": {"object": thing}}).status_code == 200
    assert books.payment()["look_at"] is not None


@pytest.mark.parametrize(
    "event",
    [
        {
            "id": "evt_1",
            "type": "payment_intent.succeeded",
            "data": {"object": {"object": "payment_intent", "id": "pi_x"}},
        },
        {
            "id": "evt_1",
            "type": "customer.created",
            "data": {"object": {"object": "customer", "id": "cus_1"}},
        },
        {
            "id": "evt_1",
            "type": "charge.refunded",
            "data": {"object": {"object": "charge", "payment_intent": None}},
        },
    ],
)
def test_an_event_about_nothing_of_ours_is_taken_and_left_alone(send, event):
    assert send(event).status_code == 200


@pytest.mark.parametrize("secret", ["whsec_old", WEBHOOK_SECRET])
def test_while_the_secret_is_replaced_both_are_believed(send, secret):
    assert send({"id": "evt_1", "data": {"object": {}}}, secret=secret).status_code == 200


@pytest.mark.parametrize("age", [0, 290])
def test_a_signature_is_good_for_five_minutes(send, age):
    assert send({"id": "evt_1", "data": {"object": {}}}, age=age).status_code == 200


@pytest.mark.parametrize("signed", [{"age": 310}, {"secret": "whsec_wrong"}])
def test_an_old_or_wrong_signature_is_refused(orders, books, server, order_id, send, signed):
    orders.authorize(order_id)
    answer = send(server.events[-1], **signed)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_notice")
    assert books.read("SELECT FROM provider_events") == []


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b"{}", None),
        (b"{}", ""),
        (b"{}", "t=1,v1=0"),
        (b"{}", "t=x,v1=0"),
        (b"{}", "nonsense"),
        (b"{}", "t=99999999999999999999,v1=\xe4"),
        (b"\xff\xfe", "t=1,v1=0"),
        (b"", "t=1,v1=0"),
    ],
)
def test_what_is_not_signed_is_refused(app, body, header):
    headers = {} if header is None else {"Stripe-Signature": header}
    answer = app.test_client().post("/payments/webhooks/stripe", data=body, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_notice")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        "null",
        "{",
        '{"id": 1}',
        '{"id": "evt_1"}',
        '{"id": "\\u0000", "data": {"object": {}}}',
        '{"id": "evt_1", "data": {"object": []}}',
        '{"id": "evt_1", "data": null}',
    ],
)
def test_what_is_signed_but_no_event_is_refused(app, text):
    headers = {"Stripe-Signature": sign(text.encode())}
    answer = app.test_client().post("/payments/webhooks/stripe", data=text.encode(), headers=headers)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_notice")


def test_an_event_that_is_too_large_is_not_read(app):
    answer = app.test_client().post("/payments/webhooks/stripe", data=b"x" * 300_000)
    assert answer.status_code == 413


def test_without_a_signing_secret_there_is_no_webhook(apps, provider):
    app = apps.get(payment_provider="stripe", stripe_secret_key=SECRET_KEY)
    assert app.test_client().post("/payments/webhooks/stripe", data=b"{}").status_code == 404


# Two books.


@pytest.fixture
def reconcile(books, database, provider, sleepy_orders):
    def reconcile():
        books.write("UPDATE jobs SET next_at = now(), position = now() - interval '10 minutes'")
        books.write("UPDATE payments SET updated_at = now() - interval '5 minutes'")
        sweep.reconcile(database, provider)
        sweep.look_after_payments(database, provider, sleepy_orders.wake)

    return reconcile


def test_what_no_event_told_is_found_in_stripes_list(
    orders, books, server, reconcile, sleepy_orders, order_id
):
    others = [new_id() for _ in range(3)]
    for other in others:
        orders.authorize(other)
    orders.authorize(order_id)
    intent = server.charge_of(order_id)[0]
    server._cancel(intent)
    reconcile()
    assert orders.find(order_id).json["status"] == "canceled"
    assert sleepy_orders.woken == [order_id]
    assert {orders.find(other).json["status"] for other in others} == {"requires_capture"}


def test_an_intent_that_is_not_ours_and_a_second_one_of_ours_are_reported(
    orders, server, books, reconcile, order_id, caplog
):
    orders.authorize(order_id)
    ours = server.charge_of(order_id)[0]
    strange = {**ours, "id": "pi_strange", "metadata": {}, "latest_charge": dict(ours["latest_charge"])}
    second = {**ours, "id": "pi_second", "latest_charge": dict(ours["latest_charge"])}
    server.intents |= {"pi_strange": strange, "pi_second": second}
    server._happen("amount_capturable_updated", strange)
    server._happen("amount_capturable_updated", second)
    reconcile()
    assert "The provider has a charge that is not ours" in caplog.messages
    assert "The provider has a second charge of a payment, which is released" in caplog.messages
    assert (strange["status"], second["status"]) == ("requires_capture", "canceled")
    assert ours["status"] == books.payment()["status"] == "requires_capture"


def test_stripes_own_words_do_not_reach_the_log(orders, order_id):
    orders.authorize(order_id)
    assert logging.getLogger("stripe").level == logging.WARNING
