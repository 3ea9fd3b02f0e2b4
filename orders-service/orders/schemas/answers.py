"""HTTP answers about orders, as bytes that are stored and replayed for the call's Idempotency-Key."""

import json
from typing import Any

from orders.domain import REFUND, Order, Refusal, Status
from orders.errors import (
    CheckoutRefused,
    CouponNotUsable,
    PaymentMethodRequired,
    ShippingMethodRequired,
    ShippingMethodUnavailable,
    find_status,
)
from orders.schemas.orders import EXAMPLE_ID, OrderOut
from orders.schemas.totals import ShippingOptionOut
from shared import errors
from shared.idempotency import Answer
from shared.schemas import example_of


def render_order(order: Order, status: int) -> Answer:
    """Return an answer that shows an order."""
    return Answer(status, "application/json", OrderOut.of(order).model_dump_json().encode())


def render_placed(order: Order) -> Answer:
    """Return the answer to the call that placed an order, once the order has left `pending`."""
    if order.refusal:
        return _render_refusal(order, order.refusal, order.request_id)
    return render_order(order, 201)


def render_answer(before: Order, after: Order, failure: Refusal | None) -> Answer | None:
    """Return the answer to the call that waits for this step; None if the step answers no call.

    `failure` is why a refund failed.
    """
    if failure and before.work:
        return _render_refusal(after, failure, before.work.request_id)
    if before.status is Status.PENDING is not after.status:
        return render_placed(after)
    if before.next_step in REFUND and after.work is None:
        return render_order(after, 200)
    return None


def _render_refusal(order: Order, refusal: Refusal, request_id: str) -> Answer:
    status = find_status(refusal.reason)
    extra = {**refusal.extra, "order_id": str(order.id)}
    body = errors.describe(status, refusal.code, refusal.detail, request_id, extra)
    return Answer(status, errors.CONTENT_TYPE, json.dumps(body).encode())


# Examples of the refusals by catalog-service, the bank, and a cancellation during the checkout.
_ORDER = {"order_id": EXAMPLE_ID}
_SHORT = [{"product_id": 1, "variant_id": 1, "requested": 2, "available": 1}]
_UNAVAILABLE = [{"product_id": 1, "variant_id": 1, "requested": 2, "available": 0}]
UNAVAILABLE = CheckoutRefused(
    "product_unavailable",
    "product_unavailable",
    "A product is not for sale; see lines.",
    lines=_UNAVAILABLE,
)
_QUOTE: dict[str, Any] = {
    "items_amount": 12980,
    "adjustments": [],
    "tax_amount": 0,
    "amount": 12980,
    "shipping_options": [example_of(ShippingOptionOut)],
}
CHECKOUT_REFUSALS = (
    CheckoutRefused(
        "out_of_stock", "out_of_stock", "There is not enough stock; see lines.", lines=_SHORT, **_ORDER
    ),
    CheckoutRefused(
        "product_unavailable",
        "product_unavailable",
        "A product is not for sale; see lines.",
        lines=_UNAVAILABLE,
        **_ORDER,
    ),
    CheckoutRefused(
        "variant_required",
        "variant_required",
        "A product has several variants; name one of them as variant_id. See lines.",
        lines=[{"product_id": 1}],
        **_ORDER,
    ),
    CheckoutRefused(
        "amount_changed",
        "amount_changed",
        "The total has changed; see amount. Review it and order again; nothing was charged.",
        **_QUOTE,
        currency="USD",
        lines=[{"product_id": 1, "variant_id": 1, "quantity": 2, "unit_amount": 6490, "amount": 12980}],
        **_ORDER,
    ),
    ShippingMethodUnavailable(**_QUOTE, **_ORDER),
    ShippingMethodRequired(**_QUOTE, **_ORDER),
    PaymentMethodRequired(amount=12980, currency="USD", **_ORDER),
    CouponNotUsable("below_minimum", "WELCOME10", minimum=20000, **_ORDER),
    CheckoutRefused("cancelled_by_customer", "order_cancelled", "The order was cancelled.", **_ORDER),
    CheckoutRefused(
        "payment_declined",
        "card_declined",
        "The card was declined.",
        decline_code="generic_decline",
        **_ORDER,
    ),
    CheckoutRefused(
        "too_many_waiting",
        "too_many_waiting",
        "More than 5 of your orders would be waiting for payment. Complete the payment of those orders or"
        " cancel them, and order again; nothing was charged.",
        **_ORDER,
    ),
    CheckoutRefused(
        "payment_declined",
        "payment_method_unsupported",
        "This payment method is not supported.",
        **_ORDER,
    ),
)
