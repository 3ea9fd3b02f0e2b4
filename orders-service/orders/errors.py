"""orders-service's refusals.

Problem
├── OrderNotFound           404  order_not_found            (NotFound)
├── ProductNotFound         404  product_not_found          (NotFound)
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
└── CheckoutRefused         the refusing service's status and code

Postponed and LeaseLost are not answers: they end a round of a checkout, and another round goes on.
"""

from typing import Any

from shared.errors import NotFound, Problem


class OrderNotFound(NotFound):
    """There is no such order, or it is somebody else's."""

    code = "order_not_found"
    detail = "There is no such order."


class ProductNotFound(NotFound):
    """The catalogue has no such product."""

    code = "product_not_found"
    detail = "There is no such product."


class CartEmpty(Problem):
    """There is nothing to order."""

    status = 409
    code = "cart_empty"
    detail = "The cart is empty; put something in, or send items."


class CartFull(Problem):
    """A cart has a hundred lines at most."""

    status = 409
    code = "cart_full"
    detail = "A cart holds 100 different products at most."


class CartChanged(Problem):
    """The cart is not the one that the caller has seen; `cart_version` says which it is now."""

    status = 409
    code = "cart_changed"
    detail = "The cart has changed; look at it again before you order it."


class CartAlreadyOrdered(Problem):
    """Another call has ordered this version of the cart, and its order was not cancelled."""

    status = 409
    code = "cart_already_ordered"
    detail = "This cart was ordered already; order_id is the order. A changed cart can be ordered again."


class OrderNotCancellable(Problem):
    """The order is past the point where it could be cancelled."""

    status = 409
    code = "order_not_cancellable"
    detail = "Only an order that was not shipped can be cancelled."


class OrderNotShippable(Problem):
    """The order is not paid, or something is being done to it."""

    status = 409
    code = "order_not_shippable"
    detail = "Only a paid order can be shipped."


class OrderNotDeliverable(Problem):
    """The order was not shipped."""

    status = 409
    code = "order_not_deliverable"
    detail = "Only a shipped order can be delivered."


class OrderNotRefundable(Problem):
    """There is no money to give back."""

    status = 409
    code = "order_not_refundable"
    detail = "Only a paid order can be refunded."


class RefundInProgress(Problem):
    """A refund of the order is being made, and has to come to its end first."""

    status = 409
    code = "refund_in_progress"
    detail = "A refund of this order is being made; try again in a moment."
    headers = {"Retry-After": "1"}


class RefundExceedsOrder(Problem):
    """More is wanted back than was paid and not yet given back; `refundable` says how much that is."""

    status = 409
    code = "refund_exceeds_order"
    detail = "This is more than what is left to refund."


class RestockNeedsFullRefund(Problem):
    """All of the goods go back to the shelf or none; `refundable` says what is left to refund."""

    status = 409
    code = "restock_needs_full_refund"
    detail = "Only the refund of all that is left can put the goods back."


class CheckoutRefused(Problem):
    """Another service refused a step for good; trying again would not help. `reason` is the order's."""

    def __init__(self, reason: str, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.reason = reason
        self.status = status
        self.code = code


class Postponed(Exception):
    """A step could not be done just now; it is tried again later."""


class LeaseLost(Exception):
    """Another replica has taken the order over."""
