"""StripeProvider against a fake of Stripe's API that can fail in every way."""

import json
import logging
import time
from contextlib import closing
from itertools import permutations

import pytest

from payments.clients.simulated import SimulatedProvider
from payments.clients.stripe import StripeProvider
from shared.ids import new_id
from tests.payments.conftest import Orders, retry, run_concurrently
from tests.payments.stripe_server import SECRET_KEY, WEBHOOK_SECRET, StripeServer, sign
from tests.waiting import wait_for

LONG_TIMEOUT, SHORT_TIMEOUT = 3.0, 0.1  # Seconds.
LOST_RESPONSES = ["never", "late", "dropped", "error500", "rate_limit", "garbage"]


@pytest.fixture(scope="module")
def only_server():
    with closing(StripeServer()) as server:
        yield server


@pytest.fixture
def server(only_server):
    only_server.reset()
    return only_server


@pytest.fixture
def provider(apps, server):
    apps.provider.provider = StripeProvider(SECRET_KEY, server.url, timeout=LONG_TIMEOUT)
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
def send(app):
    """Send an event to the webhook, as Stripe does."""

    def send(event, **signed):
        body = json.dumps(event).encode()
        headers = {"Stripe-Signature": sign(body, **signed), "Content-Type": "application/json"}
        return app.test_client().post("/payments/webhooks/stripe", data=body, headers=headers)

    return send


@pytest.fixture
def call_without_response(provider):
    """Make a call that gets no response, with a short timeout."""

    def call_without_response(call):
        provider.provider._timeout = SHORT_TIMEOUT
        try:
            return call()
        finally:
            provider.provider._timeout = LONG_TIMEOUT

    return call_without_response


def assert_records_agree(tables, server):
    payment = tables.payment()
    (intent,) = server.intents_of(payment["order_id"])
    assert intent["id"] == payment["provider_reference"]
    charge = intent["latest_charge"] or {"amount_refunded": 0}
    assert payment["amount_captured"] == intent["amount_received"]
    assert payment["amount_refunded"] == charge["amount_refunded"]
    kept = payment["amount_captured"] - payment["amount_refunded"]
    assert set(tables.balances().values()) <= {kept, -kept}


def test_a_payment_is_an_intent_with_manual_capture_and_our_ids(orders, tables, server, order_id):
    payment = orders.authorize(order_id).json
    assert (payment["status"], payment["provider"]) == ("requires_capture", "stripe")
    (intent,) = server.intents_of(order_id)
    assert (intent["amount"], intent["currency"], intent["capture_method"]) == (1299, "usd", "manual")
    assert intent["metadata"] == {"order_id": str(order_id), "payment_id": payment["id"]}
    assert f"{payment['id']}-create" in server.answers
    assert server.calls[-2:] == ["create", "confirm"]
    assert orders.capture(order_id).json["amount_captured"] == 1299
    refund_id = new_id()
    assert orders.refund(order_id, 299, refund_id).json["payment"]["amount_refunded"] == 299
    assert f"{refund_id}-refund" in server.answers
    assert orders.cancel(order_id).json["amount_refunded"] == 1299
    assert tables.movements() == ["capture", f"refund:{refund_id}", "cancel"]
    assert_records_agree(tables, server)


def test_the_id_of_the_intent_is_stored_before_it_can_hold_money(orders, tables, server, order_id):
    seen = []
    server.hooks["before confirm"] = lambda: seen.append(tables.payment()["provider_reference"])
    orders.authorize(order_id)
    assert seen == ["pi_0"]


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ],
)
def test_a_declined_card_has_the_banks_decline_code(orders, tables, server, order_id, method, code):
    for _ in range(2):
        answer = orders.authorize(order_id, payment_method=method)
        assert (answer.status_code, answer.json["decline_code"]) == (402, code)
    assert server.calls.count("confirm") == 1
    assert orders.cancel(order_id).json["status"] == "canceled"
    assert server.intents_of(order_id)[0]["status"] == "canceled"


def test_an_unknown_payment_method_is_refused_each_time_and_no_money_is_held(orders, server, order_id):
    for _ in range(2):
        answer = orders.authorize(order_id, payment_method="pm_unknown")
        assert (answer.status_code, answer.json["code"]) == (422, "payment_method_unsupported")
    assert server.intents_of(order_id) == []
    assert orders.cancel(order_id).json["status"] == "canceled"


def test_a_request_that_stripe_refuses_is_declined_with_its_code(orders, order_id):
    answer = orders.authorize(order_id, amount=10)
    assert (answer.status_code, answer.json["decline_code"]) == (402, "amount_too_small")


@pytest.mark.parametrize("operation", ["create", "confirm", "retrieve"])
@pytest.mark.parametrize("fault", LOST_RESPONSES)
def test_a_retry_completes_an_authorization_without_a_response(
    orders, call_without_response, tables, server, order_id, operation, fault
):
    if operation == "retrieve":
        # A retry retrieves the intent.
        server.fail("confirm", "dropped")
        assert orders.authorize(order_id).status_code == 503
    server.fail(operation, fault)
    answer = call_without_response(lambda: orders.authorize(order_id))
    assert (answer.status_code, answer.json["code"]) == (503, "provider_unavailable")
    assert tables.payment()["status"] == "processing"
    if (operation, fault) == ("create", "error500"):
        # Stripe replays the 500 for a day. No money can be held, so the order can be canceled.
        assert orders.authorize(order_id).status_code == 503
        assert orders.cancel(order_id).json["status"] == "canceled"
        assert server.intents_of(order_id) == []
        return
    assert retry(lambda: orders.authorize(order_id)).json["status"] == "requires_capture"
    assert retry(lambda: orders.capture(order_id)).json["status"] == "succeeded"
    assert_records_agree(tables, server)


@pytest.mark.parametrize("fault", LOST_RESPONSES)
def test_a_capture_without_a_response_is_recorded_once(
    orders, call_without_response, tables, server, order_id, fault
):
    orders.authorize(order_id)
    server.fail("capture", fault)
    assert call_without_response(lambda: orders.capture(order_id)).status_code == 503
    assert retry(lambda: orders.capture(order_id)).json["status"] == "succeeded"
    assert tables.movements() == ["capture"]
    assert_records_agree(tables, server)


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("fault", LOST_RESPONSES)
def test_a_cancel_without_a_response_returns_the_money_once(
    orders, call_without_response, tables, server, order_id, fault, captured
):
    orders.authorize(order_id)
    if captured:
        orders.capture(order_id)
    server.fail("refund" if captured else "cancel", fault)
    assert call_without_response(lambda: orders.cancel(order_id)).status_code == 503
    if captured and fault == "error500":
        server.answers.clear()  # A day later.
    assert retry(lambda: orders.cancel(order_id)).json["status"] == "canceled"
    assert len(server.refunds) == captured
    assert_records_agree(tables, server)


@pytest.mark.parametrize("operation", ["list_refunds", "refund"])
@pytest.mark.parametrize("fault", LOST_RESPONSES)
def test_a_refund_without_a_response_is_made_once(
    orders, call_without_response, tables, server, order_id, operation, fault
):
    orders.authorize(order_id)
    orders.capture(order_id)
    server.fail(operation, fault)
    refund_id = new_id()
    assert call_without_response(lambda: orders.refund(order_id, 300, refund_id)).status_code == 503
    # The refund is found even after Stripe has forgotten the key.
    server.answers.clear()
    answer = retry(lambda: orders.refund(order_id, 300, refund_id))
    assert answer.json["payment"]["amount_refunded"] == 300
    assert len(server.refunds) == 1
    assert_records_agree(tables, server)


def test_one_timeout_limits_all_requests_of_a_call(orders, provider, server):
    for operation in ("confirm", "retrieve"):
        server.fail(operation, "never", "late")
    provider.provider._timeout = 1.0

    def measure():
        began = time.monotonic()
        assert orders.authorize(new_id()).status_code == 503
        return time.monotonic() - began

    assert max(run_concurrently(measure, measure)) < 2 * 1.0


@pytest.mark.parametrize("when", ["create", "confirm"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_cancel_during_an_authorization_leaves_no_money_held(
    orders, tables, server, order_id, when, moment
):
    server.hooks[f"{moment} {when}"] = lambda: orders.cancel(order_id)
    answer = orders.authorize(order_id)
    assert (answer.status_code, answer.json["code"]) == (409, "payment_closed")
    assert tables.payment()["status"] == "canceled"
    assert {intent["status"] for intent in server.intents_of(order_id)} <= {
        "canceled",
        "requires_confirmation",
    }


def test_a_cancel_during_a_capture_returns_the_money(orders, tables, server, order_id):
    orders.authorize(order_id)
    server.hooks["after capture"] = lambda: orders.cancel(order_id)
    assert orders.capture(order_id).json["code"] == "payment_closed"
    assert_records_agree(tables, server)
    assert tables.payment()["amount_refunded"] == 1299


def test_a_capture_that_stripe_refuses_permanently(orders, server, order_id):
    orders.authorize(order_id, payment_method="pm_card_captureRefused")
    answer = orders.capture(order_id)
    assert (answer.status_code, answer.json["code"]) == (409, "capture_failed")
    assert answer.json["decline_code"] == "charge_expired_for_capture"
    assert orders.cancel(order_id).json["status"] == "canceled"


def test_an_authorization_that_stripe_released_cannot_be_captured(orders, server, order_id):
    orders.authorize(order_id)
    server._cancel(server.intents_of(order_id)[0])
    answer = orders.capture(order_id)
    assert (answer.json["code"], answer.json["decline_code"]) == ("capture_failed", "authorization_released")


def test_a_refund_that_stripe_refuses_permanently(orders, server, order_id):
    orders.authorize(order_id)
    orders.capture(order_id)
    server.intents_of(order_id)[0]["latest_charge"]["amount_refunded"] = 1299
    answer = orders.refund(order_id, 300)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_failed")
    assert answer.json["decline_code"] == "charge_already_refunded"


def test_a_wrong_secret_key_is_logged_and_does_not_decline_the_card(
    start_payments, server, auth, tables, order_id, capsys
):
    wrong = start_payments(StripeProvider("sk_test_wrong", server.url))
    answer = Orders(wrong, auth).authorize(order_id)
    assert (answer.status_code, answer.json["code"]) == (503, "provider_unavailable")
    assert tables.payment()["status"] == "processing"
    logged = capsys.readouterr().out
    assert "Stripe does not accept STRIPE_SECRET_KEY: 401" in logged
    assert "sk_test_wrong" not in logged


def test_a_payment_of_a_different_provider_is_unavailable(
    orders, start_payments, auth, tables, order_id, database
):
    orders.authorize(order_id)
    tables.write("UPDATE payments SET look_at = now()")
    other = Orders(start_payments(SimulatedProvider(database)), auth)
    for call in (other.capture, other.cancel):
        answer = call(order_id)
        assert (answer.status_code, answer.json["code"]) == (503, "provider_unavailable")
        assert "stripe" in answer.json["detail"]
    assert tables.charges() == []
    assert orders.cancel(order_id).json["status"] == "canceled"


def test_twenty_concurrent_authorizations_create_one_intent(orders, server, order_id):
    answers = run_concurrently(*[lambda: orders.authorize(order_id)] * 20)
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert orders.authorize(order_id).json["status"] == "requires_capture"
    assert len(server.intents_of(order_id)) == 1


@pytest.mark.parametrize(("approved", "status"), [(True, 200), (False, 402)])
def test_a_confirmation_reads_the_customers_answer_from_stripe(
    orders, app, auth, server, fake_orders, order_id, approved, status
):
    payment = orders.authorize(order_id, payment_method="pm_card_authenticationRequired").json
    (intent,) = server.intents_of(order_id)
    assert payment["status"] == "requires_action"
    assert payment["next_action"]["client_secret"] == intent["client_secret"]

    def confirm(key):
        headers = {**auth.bearer(sub="ada"), "Idempotency-Key": key}
        return app.test_client().post(f"/payments/{payment['id']}/confirm", json={}, headers=headers)

    # The bank has not reported an answer yet.
    assert confirm("too soon").json["status"] == "requires_action"
    assert fake_orders.woken == []
    server.authenticate(intent, approved=approved)
    assert confirm("now").status_code == status
    assert fake_orders.woken == [order_id]


# Events.


def test_a_signed_event_updates_the_payment_and_wakes_the_order(
    orders, tables, server, fake_orders, check, send, order_id
):
    orders.authorize(order_id, payment_method="pm_card_authenticationRequired")
    server.authenticate(server.intents_of(order_id)[0], approved=True)
    assert send(server.events[-1]).status_code == 200
    check()
    assert tables.payment()["status"] == "requires_capture"
    assert fake_orders.woken == [order_id]
    assert tables.payment()["look_at"] is None


def test_the_webhook_starts_the_sweep(start_payments, server, tables, auth, fake_orders, order_id):
    app = start_payments(
        StripeProvider(SECRET_KEY, server.url),
        sweeps=True,
        payment_provider="stripe",
        stripe_secret_key=SECRET_KEY,
        stripe_webhook_secret=WEBHOOK_SECRET,
    )
    Orders(app, auth).authorize(order_id, payment_method="pm_card_authenticationRequired")
    server.authenticate(server.intents_of(order_id)[0], approved=True)
    body = json.dumps(server.events[-1]).encode()
    headers = {"Stripe-Signature": sign(body)}
    assert app.test_client().post("/payments/webhooks/stripe", data=body, headers=headers).status_code == 200
    wait_for(lambda: fake_orders.woken == [order_id])
    assert tables.payment()["status"] == "requires_capture"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_repeated_events_in_any_order_have_the_same_result(
    orders, tables, server, check, send, order_id, order
):
    orders.authorize(order_id)
    server.fail("capture", "dropped")
    orders.capture(order_id)
    server.events.append({**server.events[-1], "id": "evt_later"})
    for number in order:
        for _ in range(2):
            assert send(server.events[number]).status_code == 200
            check()
    assert tables.payment()["status"] == "succeeded"
    assert tables.movements() == ["capture"]
    assert len(tables.read("SELECT FROM provider_events")) == 3


def test_an_event_before_the_response_is_recorded_once(orders, tables, server, check, send, order_id):
    def receive_event():
        send(server.events[-1])
        check()

    server.hooks["after confirm"] = receive_event
    assert orders.authorize(order_id).json["status"] == "requires_capture"
    server.hooks["after capture"] = receive_event
    assert orders.capture(order_id).json["status"] == "succeeded"
    assert tables.movements() == ["capture"]


def test_an_event_about_a_refund_schedules_a_check_of_its_payment(orders, tables, send, order_id):
    orders.authorize(order_id)
    reference = tables.payment()["provider_reference"]
    thing = {"object": "charge", "id": "ch_1", "payment_intent": reference}
    assert send({"id": "evt_1", "type": "charge.refunded", "data": {"object": thing}}).status_code == 200
    assert tables.payment()["look_at"] is not None


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
def test_an_event_without_a_known_payment_is_accepted_and_ignored(send, event):
    assert send(event).status_code == 200


@pytest.mark.parametrize("secret", ["whsec_old", WEBHOOK_SECRET])
def test_both_signing_secrets_are_accepted_during_a_rotation(send, secret):
    assert send({"id": "evt_1", "data": {"object": {}}}, secret=secret).status_code == 200


@pytest.mark.parametrize("age", [0, 290])
def test_a_signature_is_valid_for_five_minutes(send, age):
    assert send({"id": "evt_1", "data": {"object": {}}}, age=age).status_code == 200


@pytest.mark.parametrize("signed", [{"age": 310}, {"secret": "whsec_wrong"}])
def test_an_old_or_wrong_signature_is_refused(orders, tables, server, order_id, send, signed):
    orders.authorize(order_id)
    answer = send(server.events[-1], **signed)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_notice")
    assert tables.read("SELECT FROM provider_events") == []


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
def test_an_unsigned_body_is_refused(app, body, header):
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
def test_a_signed_body_without_a_valid_event_is_refused(app, text):
    headers = {"Stripe-Signature": sign(text.encode())}
    answer = app.test_client().post("/payments/webhooks/stripe", data=text.encode(), headers=headers)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_notice")


def test_an_event_that_is_too_large_is_not_read(app):
    answer = app.test_client().post("/payments/webhooks/stripe", data=b"x" * 300_000)
    assert answer.status_code == 413


def test_without_a_signing_secret_there_is_no_webhook(apps, provider):
    app = apps.get(payment_provider="stripe", stripe_secret_key=SECRET_KEY)
    assert app.test_client().post("/payments/webhooks/stripe", data=b"{}").status_code == 404


# Reconciliation.


def test_reconciliation_finds_a_change_without_an_event(
    orders, tables, server, reconcile, fake_orders, order_id
):
    others = [new_id() for _ in range(3)]
    for other in others:
        orders.authorize(other)
    orders.authorize(order_id)
    intent = server.intents_of(order_id)[0]
    server._cancel(intent)
    reconcile()
    assert orders.find(order_id).json["status"] == "canceled"
    assert fake_orders.woken == [order_id]
    assert {orders.find(other).json["status"] for other in others} == {"requires_capture"}


def test_an_unknown_intent_and_a_second_intent_of_a_payment_are_reported(
    orders, server, tables, reconcile, order_id, caplog
):
    orders.authorize(order_id)
    ours = server.intents_of(order_id)[0]
    unknown = {**ours, "id": "pi_unknown", "metadata": {}, "latest_charge": dict(ours["latest_charge"])}
    second = {**ours, "id": "pi_second", "latest_charge": dict(ours["latest_charge"])}
    server.intents |= {"pi_unknown": unknown, "pi_second": second}
    server._emit("amount_capturable_updated", unknown)
    server._emit("amount_capturable_updated", second)
    reconcile()
    assert "The provider has a charge without a payment id" in caplog.messages
    assert "The provider has a second charge of a payment; releasing it" in caplog.messages
    assert (unknown["status"], second["status"]) == ("requires_capture", "canceled")
    assert ours["status"] == tables.payment()["status"] == "requires_capture"


def test_stripes_library_does_not_log_requests(orders, order_id):
    orders.authorize(order_id)
    assert logging.getLogger("stripe").level == logging.WARNING
