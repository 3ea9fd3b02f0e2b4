"""Errors that orders-service returns.

Problem
├── OrderNotFound           404  order_not_found            (NotFound)
├── ProductNotFound         404  product_not_found          (NotFound)
├── AddressBookFull         409  address_book_full
├── CartEmpty               409  cart_empty
├── CartFull                409  cart_full
├── CartChanged             409  cart_changed
├── CartAlreadyOrdered      409  cart_already_ordered
├── OrderNotCancellable     409  order_not_cancellable
├── OrderNotShippable       409  order_not_shippable
├── OrderNotDeliverable     409  order_not_deliverable
├── OrderNotRefundable      409  order_not_refundable
├── RefundInProgress        409  refund_in_progress
├── RefundExceedsOrder      409  refund_exceeds_order
├── RestockNeedsFullRefund  409  restock_needs_full_refund
└── CheckoutRefused         402, 409, 422 or 429, by its reason

Postponed and LeaseLost never reach a client: each ends one thread's work on an order, which continues later.
"""

from typing import Any

from shared.errors import NotFound, Problem

# The HTTP status of a refused checkout, by the order's reason. All other reasons are conflicts.
REFUSAL_STATUSES = {"payment_declined": 402, "variant_required": 422, "too_many_waiting": 429}


class OrderNotFound(NotFound):
    """The order does not exist, or belongs to another customer."""

    code = "order_not_found"
    detail = "There is no such order."


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


class CheckoutRefused(Problem):
    """Another service refused a step permanently; a retry would not help. `reason` is the order's."""

    def __init__(self, reason: str, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.reason = reason
        self.code = code
        self.status = find_status(reason)


class Postponed(Exception):
    """A step cannot be completed now, and is retried later."""


class LeaseLost(Exception):
    """Another thread has taken over the order."""


def find_status(reason: str) -> int:
    """Return the HTTP status of a refusal with this reason."""
    return REFUSAL_STATUSES.get(reason, 409)
