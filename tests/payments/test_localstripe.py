"""StripeProvider against localstripe, a third-party server: protocol, statuses, signatures."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests
from werkzeug.serving import make_server

from local.sockets import listen, port_of
from payments.clients.stripe import StripeProvider
from tests.payments.conftest import Orders
from tests.waiting import wait_for

SECRET_KEY = "sk_test_12345"
WEBHOOK_SECRET = "whsec_12345"
# Test card numbers, which localstripe shares with Stripe.
CARDS = {
    "visa": "4242424242424242",
    "authentication_required": "4000002500003155",
    "declined": "4000000000000341",
}


@pytest.fixture(scope="module")
def localstripe():
    """The URL of a localstripe process."""
    with listen() as place:
        port = port_of(place)
    server = Path(__file__).with_name("localstripe_server.py")
    process = subprocess.Popen([sys.executable, server, str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: process.poll() is not None or is_up(url))
        assert process.poll() is None
        yield url
    finally:
        process.terminate()
        process.wait()


def is_up(url):
    try:
        return requests.get(url, timeout=1).status_code > 0
    except requests.ConnectionError:
        return False


@pytest.fixture
def call_localstripe(localstripe):
    """Call localstripe directly, as the customer's browser and the dashboard do."""

    def call_localstripe(method, path, **data):
        headers = {"Authorization": f"Bearer {SECRET_KEY}"}
        answer = requests.request(method, localstripe + path, data=data, headers=headers, timeout=5)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    return call_localstripe


@pytest.fixture
def card(call_localstripe):
    """Create a payment method, as Stripe's page in the browser does."""

    def card(kind):
        details = {"card[number]": CARDS[kind], "card[exp_month]": "12", "card[exp_year]": "2040"}
        return call_localstripe(
            "POST", "/v1/payment_methods", type="card", **details, **{"card[cvc]": "123"}
        )["id"]

    return card


@pytest.fixture
def provider(apps, localstripe):
    apps.provider.provider = StripeProvider(SECRET_KEY, localstripe)
    return apps.provider


@pytest.fixture
def app(start_payments, provider):
    return start_payments(
        provider,
        sweeps=True,
        payment_provider="stripe",
        stripe_secret_key=SECRET_KEY,
        stripe_webhook_secret=WEBHOOK_SECRET,
    )


@pytest.fixture
def orders(app, auth):
    return Orders(app, auth)


@pytest.fixture
def send_events_with(app, localstripe, served_app):
    """Make localstripe send its events to the service, signed with a secret."""

    def send_events_with(secret):
        hook = {"url": f"{served_app.url}/payments/webhooks/stripe", "secret": secret}
        requests.post(f"{localstripe}/_config/webhooks/ours", json=hook, timeout=5).raise_for_status()

    return send_events_with


class ServedApp:
    """The service on a port, and the statuses of its responses."""

    def __init__(self, app):
        self.app = app
        self.statuses = []
        self.server = make_server("127.0.0.1", 0, self.serve, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def serve(self, environ, start_response):
        def start(status, headers, *more):
            self.statuses.append(status)
            return start_response(status, headers, *more)

        return self.app(environ, start)


@pytest.fixture
def served_app(app):
    served = ServedApp(app)
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    served.server.shutdown()
    thread.join()
    served.server.server_close()


@pytest.fixture
def statuses(served_app, send_events_with):
    """The statuses of the service's responses to localstripe's events."""
    send_events_with(WEBHOOK_SECRET)
    return served_app.statuses


def test_a_payment_is_authorized_captured_partially_refunded_and_canceled(
    orders, tables, call_localstripe, card, order_id
):
    payment = orders.authorize(order_id, payment_method=card("visa")).json
    assert payment["status"] == "requires_capture"
    reference = tables.payment()["provider_reference"]
    intent = call_localstripe("GET", f"/v1/payment_intents/{reference}")
    assert intent["metadata"] == {"order_id": str(order_id), "payment_id": payment["id"]}
    assert (intent["amount"], intent["currency"], intent["status"]) == (1299, "usd", "requires_capture")
    assert orders.capture(order_id).json["amount_captured"] == 1299
    assert orders.capture(order_id).json["amount_captured"] == 1299
    assert orders.refund(order_id, 299).json["payment"]["amount_refunded"] == 299
    assert orders.cancel(order_id).json["status"] == "canceled"
    refunds = call_localstripe("GET", f"/v1/refunds?payment_intent={reference}")["data"]
    assert sorted(refund["amount"] for refund in refunds) == [299, 1000]
    assert tables.balances() == {"receivable": 0, "sales": 0}


def test_a_cancel_before_the_capture_voids_the_intent(orders, tables, call_localstripe, card, order_id):
    orders.authorize(order_id, payment_method=card("visa"))
    assert orders.cancel(order_id).json["status"] == "canceled"
    reference = tables.payment()["provider_reference"]
    assert call_localstripe("GET", f"/v1/payment_intents/{reference}")["status"] == "canceled"


def test_a_declined_card_is_declined(orders, card, order_id):
    answer = orders.authorize(order_id, payment_method=card("declined"))
    assert (answer.status_code, answer.json["decline_code"]) == (402, "card_declined")
    assert orders.cancel(order_id).json["status"] == "canceled"


def test_an_unknown_card_is_not_supported(orders, order_id):
    answer = orders.authorize(order_id, payment_method="pm_unknown")
    assert (answer.status_code, answer.json["code"]) == (422, "payment_method_unsupported")


@pytest.mark.parametrize(
    ("success", "status"), [("true", "requires_capture"), ("false", "requires_payment_method")]
)
def test_a_customer_authenticates_in_the_browser(
    orders, app, auth, call_localstripe, card, fake_orders, order_id, success, status
):
    payment = orders.authorize(order_id, payment_method=card("authentication_required")).json
    assert payment["status"] == "requires_action"
    secret = payment["next_action"]["client_secret"]
    reference = secret.partition("_secret_")[0]
    path = f"/v1/payment_intents/{reference}/_authenticate"
    call_localstripe("POST", path, client_secret=secret, success=success)
    headers = {**auth.bearer(sub="ada"), "Idempotency-Key": "a key"}
    app.test_client().post(f"/payments/{payment['id']}/confirm", json={}, headers=headers)
    assert orders.find(order_id).json["status"] == status
    assert fake_orders.woken == [order_id]


def test_a_signed_event_recovers_a_capture_whose_response_was_lost(
    orders, tables, provider, statuses, card, fake_orders, order_id
):
    orders.authorize(order_id, payment_method=card("visa"))
    provider.lose_response("after capture")
    assert orders.capture(order_id).status_code == 503
    wait_for(lambda: fake_orders.woken == [order_id])
    # Events of earlier tests may still arrive.
    wait_for(lambda: set(statuses) == {"200 OK"})
    assert tables.movements() == ["capture"]
    assert orders.find(order_id).json["status"] == "succeeded"


def test_an_event_with_a_wrong_signature_is_refused(
    orders, tables, statuses, send_events_with, card, order_id
):
    send_events_with("whsec_wrong")
    orders.authorize(order_id, payment_method=card("visa"))
    orders.capture(order_id)
    wait_for(lambda: set(statuses) == {"400 BAD REQUEST"})
    assert tables.read("SELECT FROM provider_events") == []
