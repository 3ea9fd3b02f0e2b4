"""A running shop tells a receiver of what happens in orders-service and in catalog-service."""

import secrets

import pytest
from standardwebhooks import Webhook

from tests.conftest import FakeServer
from tests.orders.conftest import ADDRESS
from tests.stacks import ProcessStack, Shopper
from tests.waiting import wait_for

pytestmark = pytest.mark.shop


def test_a_sale_reaches_a_receiver_as_the_order_and_as_low_stock(
    processes: ProcessStack, fake_server: FakeServer
) -> None:
    def accept(handler, _body):
        handler.send_response(204)
        handler.end_headers()

    fake_server.answer = accept
    with Shopper(processes.url) as admin, Shopper(processes.url) as guest:
        admin.log_in()
        listener = {"url": f"{fake_server.url}/shop", "events": ["order.confirmed", "stock.low"]}
        webhook = admin.post("/webhooks", json=listener).json()
        try:
            # Its number tells its messages from those of other tests on this shop.
            fields = {"title": "Kettle", "price": 5, "on_hand": 4, "low_stock_threshold": 2}
            product = admin.post("/products", json=fields).json()["id"]
            assert guest.post("/auth/guest").status_code == 201
            placed = guest.post(
                "/orders",
                headers={"Idempotency-Key": secrets.token_hex()},
                json={
                    "items": [{"product_id": product, "quantity": 2}],
                    "payment_method": "pm_card_visa",
                    "shipping_address": ADDRESS,
                    "email": "ada@example.com",
                },
            )
            assert placed.status_code == 201, placed.text

            def find_messages():
                messages = {}
                for _, _, headers, body in list(fake_server.requests):
                    message = Webhook(webhook["secret"]).verify(body, headers)
                    data = message["data"]
                    if placed.json()["id"] == data.get("id") or product == data.get("variant_id"):
                        messages[message["type"]] = data
                return messages if len(messages) == 2 else None

            messages = wait_for(find_messages)
            assert messages["order.confirmed"]["items"][0]["variant_id"] == product
            assert messages["stock.low"]["stock"] == 2
        finally:
            assert admin.delete(f"/webhooks/{webhook['id']}").status_code == 204
