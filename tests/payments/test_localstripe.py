"""Stripe's library against localstripe, a server that others wrote: the wire, the states, the signatures."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests
from werkzeug.serving import make_server

from local.sockets import listen, port_of
from payments.clients.stripe import StripeProvider
from payments.errors import ProviderUnavailable
from tests.payments.conftest import Orders
from tests.waiting import wait_for

SECRET_KEY = "sk_test_12345"
WEBHOOK_SECRET = "whsec_12345"
# Numbers by which localstripe, as Stripe itself, knows what a card does.
CARDS = {"visa": "4242424242424242", "asks": "4000002500003155", "declined": "4000000000000341"}


@pytest.fixture(scope="module")
def localstripe():
    """The URL of a localstripe of our own."""
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
def ask(localstripe):
    """Call localstripe past the service, as the customer's browser and the dashboard do."""

    def ask(method, path, **data):
        headers = {"Authorization": f"Bearer {SECRET_KEY}"}
        answer = requests.request(method, localstripe + path, data=data, headers=headers, timeout=5)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    return ask


@pytest.fixture
def card(ask):
    """Make a payment method, as Stripe's own page in the browser would."""

    def card(kind):
        details = {"card[number]": CARDS[kind], "card[exp_month]": "12", "card[exp_year]": "2040"}
        return ask("POST", "/v1/payment_methods", type="card", **details, **{"card[cvc]": "123"})["id"]

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
def listen_with(app, localstripe, heard_at):
    """Have localstripe send its events to the service, signed with a secret."""

    def listen_with(secret):
        hook = {"url": f"{heard_at.url}/payments/webhooks/stripe", "secret": secret}
        requests.post(f"{localstripe}/_config/webhooks/ours", json=hook, timeout=5).raise_for_status()

    return listen_with


class Ear:
    """The service on a port, and the statuses of its answers."""

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
def heard_at(app):
    ear = Ear(app)
    thread = threading.Thread(target=ear.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield ear
    ear.server.shutdown()
    thread.join()
    ear.server.server_close()


@pytest.fixture
def heard(heard_at, listen_with):
    """The statuses of our answers to localstripe's events."""
    listen_with(WEBHOOK_SECRET)
    return heard_at.statuses


def test_a_payment_is_held_taken_refunded_in_part_and_given_back(orders, books, ask, card, order_id):
    payment = orders.authorize(order_id, payment_method=card("visa")).json
    assert payment["status"] == "requires_capture"
    reference = books.payment()["provider_reference"]
    intent = ask("GET", f"/v1/payment_intents/{reference}")
    assert intent["metadata"] == {"order_id": str(order_id), "payment_id": payment["id"]}
    assert (intent["amount"], intent["currency"], intent["status"]) == (1299, "usd", "requires_capture")
    assert orders.capture(order_id).json["amount_captured"] == 1299
    assert orders.capture(order_id).json["amount_captured"] == 1299
    assert orders.refund(order_id, 299).json["payment"]["amount_refunded"] == 299
    assert orders.cancel(order_id).json["status"] == "canceled"
    refunds = ask("GET", f"/v1/refunds?payment_intent={reference}")["data"]
    assert sorted(refund["amount"] for refund in refunds) == [299, 1000]
    assert books.balances() == {"receivable": 0, "sales": 0}


def test_a_cancel_before_the_capture_voids_the_intent(orders, books, ask, card, order_id):
    orders.authorize(order_id, payment_method=card("visa"))
    assert orders.cancel(order_id).json["status"] == "canceled"
    reference = books.payment()["provider_reference"]
    assert ask("GET", f"/v1/payment_intents/{reference}")["status"] == "canceled"


def test_a_declined_card_is_declined(orders, card, order_id):
    answer = orders.authorize(order_id, payment_method=card("declined"))
    assert (answer.status_code, answer.json["decline_code"]) == (402, "card_declined")
    assert orders.cancel(order_id).json["status"] == "canceled"


def test_a_card_that_is_not_there_is_not_supported(orders, order_id):
    answer = orders.authorize(order_id, payment_method="pm_of_nobody")
    assert (answer.status_code, answer.json["code"]) == (422, "payment_method_unsupported")


@pytest.mark.parametrize(
    ("success", "status"), [("true", "requires_capture"), ("false", "requires_payment_method")]
)
def test_a_bank_that_asks_is_answered_in_the_browser(
    orders, app, auth, ask, card, sleepy_orders, order_id, success, status
):
    payment = orders.authorize(order_id, payment_method=card("asks")).json
    assert payment["status"] == "requires_action"
    secret = payment["next_action"]["client_secret"]
    reference = secret.partition("_secret_")[0]
    path = f"/v1/payment_intents/{reference}/_authenticate"
    ask("POST", path, client_secret=secret, success=success)
    headers = {**auth.bearer(sub="ada"), "Idempotency-Key": "a key"}
    app.test_client().post(f"/payments/{payment['id']}/confirm", json={}, headers=headers)
    assert orders.find(order_id).json["status"] == status
    assert sleepy_orders.woken == [order_id]


def test_a_capture_whose_answer_was_lost_is_learnt_from_a_signed_event(
    orders, books, provider, heard, card, sleepy_orders, order_id
):
    def drop_line():
        raise ProviderUnavailable

    orders.authorize(order_id, payment_method=card("visa"))
    provider.interrupt("after capture", drop_line)
    assert orders.capture(order_id).status_code == 503
    wait_for(lambda: sleepy_orders.woken == [order_id])
    # Events of other tests may still be on their way, too.
    wait_for(lambda: set(heard) == {"200 OK"})
    assert books.movements() == ["capture"]
    assert orders.find(order_id).json["status"] == "succeeded"


def test_an_event_signed_with_another_secret_is_refused(orders, books, heard, listen_with, card, order_id):
    listen_with("whsec_of_somebody_else")
    orders.authorize(order_id, payment_method=card("visa"))
    orders.capture(order_id)
    wait_for(lambda: set(heard) == {"400 BAD REQUEST"})
    assert books.read("SELECT FROM provider_events") == []
