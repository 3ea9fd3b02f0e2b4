"""Errors that orders-service returns.

Problem
├── OrderNotFound           404  order_not_found            (NotFound)
├── CursorExpired           410  cursor_expired
├── ProductNotFound         404  product_not_found          (NotFound)
├── AddressBookFull         409  address_book_full
├── CartEmpty               409  cart_empty
├── CartFull                409  cart_full
├── CartChanged             409  cart_changed
├── CartAlreadyOrdered      409  cart_already_ordered
├── ShippingMethodUnavailable 409  shipping_method_unavailable
├── ShippingMethodRequired  422  shipping_method_required
├── PaymentMethodRequired   422  payment_method_required
├── CouponNotUsable         409  coupon_not_usable
├── ShippingMethodNotFound  404  shipping_method_not_found  (NotFound)
├── ShippingMethodExists    409  shipping_method_exists
├── TaxRateNotFound         404  tax_rate_not_found         (NotFound)
├── TaxRateExists           409  tax_rate_exists
├── CouponNotFound          404  coupon_not_found           (NotFound)
├── CouponExists            409  coupon_exists
├── OrderNotCancellable     409  order_not_cancellable
├── OrderNotShippable       409  order_not_shippable
├── OrderNotDeliverable     409  order_not_deliverable
├── OrderNotRefundable      409  order_not_refundable
├── RefundInProgress        409  refund_in_progress
├── RefundExceedsOrder      409  refund_exceeds_order
├── RestockNeedsFullRefund  409  restock_needs_full_refund
├── LinkInvalid             422  link_invalid               (ValidationFailed)
├── WebhookNotFound         404  webhook_not_found          (NotFound)
├── WebhooksFull            409  webhooks_full
├── WebhookInactive         409  webhook_inactive
├── DeliveryNotFound        404  delivery_not_found         (NotFound)
└── CheckoutRefused         402, 409, 422 or 429, by its reason

Postponed and LeaseLost never reach a client: each ends one thread's work on an order, which continues later.
Nor does OrderRefused, which becomes CouponNotUsable, CartAlreadyOrdered or CartChanged, nor
ReceiverUnreachable, which a delivery records.
"""

from typing import Any, ClassVar

from shared.errors import NotFound, Problem, ValidationFailed

# The HTTP status of a refused checkout, by the order's reason. All other reasons are conflicts.
REFUSAL_STATUSES = {
    "payment_declined": 402,
    "variant_required": 422,
    "shipping_method_required": 422,
    "payment_method_required": 422,
    "too_many_waiting": 429,
}


class OrderNotFound(NotFound):
    """The order does not exist, or belongs to another customer."""

    code = "order_not_found"
    detail = "There is no such order."


class LinkInvalid(ValidationFailed):
    """The token of a mailed link is unknown or expired. The client does not learn which."""

    code = "link_invalid"
    detail = "This link is not valid any more. Request a new one."

    def __init__(self) -> None:
        detail = "is unknown or expired"
        super().__init__(errors=[{"location": "json", "field": "token", "detail": detail}])


class CursorExpired(Problem):
    """The database was restored or moved since the feed issued the cursor."""

    status = 410
    code = "cursor_expired"
    detail = (
        "The shop's database was restored or moved after this cursor was issued. Call without `cursor`,"
        " to read the changes since `updated_since` again."
    )


class ProductNotFound(NotFound):
    """The catalogue sells no such variant."""

    code = "product_not_found"
    detail = "There is no such product."


class AddressBookFull(Problem):
    """The address book would have more than 20 addresses."""

    status = 409
    code = "address_book_full"
    detail = "An address book can have at most 20 addresses. Remove one of them first."


class CartEmpty(Problem):
    """The cart has no items to order."""

    status = 409
    code = "cart_empty"
    detail = "The cart is empty. Add a product to it, or send items."


class CartFull(Problem):
    """The cart would have more than 100 lines."""

    status = 409
    code = "cart_full"
    detail = "A cart can have at most 100 different items."


class CartChanged(Problem):
    """The cart is no longer at the caller's version; `cart_version` is its current one."""

    status = 409
    code = "cart_changed"
    detail = "The cart has changed. Review it before you order."


class CartAlreadyOrdered(Problem):
    """Another call ordered this version of the cart, and its order was not cancelled."""

    status = 409
    code = "cart_already_ordered"
    detail = "This cart was already ordered; order_id is the order. Change the cart to order again."


class ShippingMethodUnavailable(Problem):
    """The shop does not offer the shipping method for these items or this destination."""

    status = 409
    code = "shipping_method_unavailable"
    detail = "This shipping method is not offered for this order; choose one of shipping_options."


class ShippingMethodRequired(Problem):
    """The shop has shipping methods, and the order names none."""

    status = 422
    code = "shipping_method_required"
    detail = "Choose one of shipping_options. If there is none, the shop does not deliver there."


class PaymentMethodRequired(Problem):
    """The order has to be paid and names no payment method."""

    status = 422
    code = "payment_method_required"
    detail = "The order is not free, so it needs a payment_method."


class CouponNotUsable(Problem):
    """The coupon does not apply to this order; `reason` says why."""

    status = 409
    code = "coupon_not_usable"
    details: ClassVar[dict[str, str]] = {
        "unknown": "There is no coupon {code}. Check its spelling.",
        "ended": "The coupon {code} has expired.",
        "not_started": "The coupon {code} is not valid yet.",
        "used_up": "The coupon {code} has been used as often as it can be.",
        "used_by_customer": "You have used the coupon {code} as often as you can.",
        "first_order_only": "The coupon {code} is only for a first order.",
        "below_minimum": "The items cost less than the coupon {code} needs.",
        "not_applicable": "The coupon {code} applies to none of the items.",
    }

    def __init__(self, reason: str, coupon: str, **extra: Any) -> None:
        super().__init__(self.details[reason].format(code=coupon), reason=reason, coupon=coupon, **extra)


class ShippingMethodNotFound(NotFound):
    """There is no shipping method with this code."""

    code = "shipping_method_not_found"
    detail = "There is no such shipping method."


class ShippingMethodExists(Problem):
    """Another shipping method has this code."""

    status = 409
    code = "shipping_method_exists"
    detail = "There is a shipping method with this code. Change that one, or choose another code."


class TaxRateNotFound(NotFound):
    """There is no tax rate with this id."""

    code = "tax_rate_not_found"
    detail = "There is no such tax rate."


class TaxRateExists(Problem):
    """Another tax rate has the same place and class."""

    status = 409
    code = "tax_rate_exists"
    detail = "There is a tax rate for this place and class. Change that one."


class CouponNotFound(NotFound):
    """There is no coupon with this code."""

    code = "coupon_not_found"
    detail = "There is no such coupon."


class CouponExists(Problem):
    """Another coupon has this code."""

    status = 409
    code = "coupon_exists"
    detail = "There is a coupon with this code. Change that one, or choose another code."


class OrderNotCancellable(Problem):
    """The order has shipped or was refunded."""

    status = 409
    code = "order_not_cancellable"
    detail = "Only an order that has not shipped can be cancelled."


class OrderNotShippable(Problem):
    """The order is not paid, or a cancellation or refund of it is in progress."""

    status = 409
    code = "order_not_shippable"
    detail = "Only a paid order can be shipped."


class OrderNotDeliverable(Problem):
    """The order was not shipped, or a refund of it is in progress."""

    status = 409
    code = "order_not_deliverable"
    detail = "Only a shipped order can be delivered."


class OrderNotRefundable(Problem):
    """The order has no payment left to refund."""

    status = 409
    code = "order_not_refundable"
    detail = "Only a paid order can be refunded."


class RefundInProgress(Problem):
    """A refund of the order must finish first."""

    status = 409
    code = "refund_in_progress"
    detail = "A refund of this order is in progress; try again in a moment."
    headers = {"Retry-After": "1"}


class RefundExceedsOrder(Problem):
    """The amount is more than was paid and not yet refunded; `refundable` is that remainder."""

    status = 409
    code = "refund_exceeds_order"
    detail = "The amount is more than what remains to be refunded."


class RestockNeedsFullRefund(Problem):
    """Only a refund of the whole remainder can restock; `refundable` is that remainder."""

    status = 409
    code = "restock_needs_full_refund"
    detail = "Only a refund of the full remaining amount can restock the items."


class WebhookNotFound(NotFound):
    """There is no webhook with this id."""

    code = "webhook_not_found"
    detail = "There is no such webhook."


class WebhooksFull(Problem):
    """The shop would have more than 20 webhooks."""

    status = 409
    code = "webhooks_full"
    detail = "A shop can have at most 20 webhooks. Delete one of them first."


class WebhookInactive(Problem):
    """The webhook is switched off, so nothing can be sent to it."""

    status = 409
    code = "webhook_inactive"
    detail = "The webhook is switched off. Switch it on first."


class DeliveryNotFound(NotFound):
    """The webhook has no such delivery, or the delivery is older than 30 days."""

    code = "delivery_not_found"
    detail = "There is no such delivery."


class CheckoutRefused(Problem):
    """Another service refused a step permanently; a retry would not help. `reason` is the order's."""

    def __init__(self, reason: str, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.reason = reason
        self.code = code
        self.status = find_status(reason)


class Postponed(Exception):
    """A step cannot be completed now, and is retried later."""


class OrderRefused(Exception):
    """The order's cart has changed since it was read, or its coupon cannot be used."""


class ReceiverUnreachable(Exception):
    """The receiver of a webhook did not answer, or must not be called; the message says why."""


class LeaseLost(Exception):
    """Another thread has taken over the order."""


def find_status(reason: str) -> int:
    """Return the HTTP status of a refusal with this reason."""
    return REFUSAL_STATUSES.get(reason, 409)
