"""Rules of the books across databases: orders, catalogue and payments must agree about an order."""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

CONFIRMED = frozenset({"confirmed", "paid", "shipped", "delivered", "refunded"})
PAID = CONFIRMED - {"confirmed"}

# The subject of a rule, and whether the rule holds for it.
Fact = tuple[str, bool]


@dataclass(frozen=True)
class Books:
    """The rows of all databases, by order; `settled` orders did not change while the rest was read.

    `parents` has the product of each further variant in the catalogue.
    """

    orders: Mapping[UUID, Any]
    settled: frozenset[UUID]
    customers: frozenset[str]
    holds: Mapping[UUID, Any]
    parents: Mapping[int, int]
    payments: Mapping[UUID, list[Any]]

    def settled_orders(self, *, statuses: Container[str] | None = None) -> Iterator[Any]:
        """Return the orders without work, optionally only those with these statuses."""
        for order in self.orders.values():
            if order.id in self.settled and (statuses is None or order.status in statuses):
                yield order

    def is_moving(self, order_id: UUID) -> bool:
        """Return whether an order is in progress, so that its parts may differ for now."""
        return order_id in self.orders and order_id not in self.settled


def _check_customers(books: Books) -> Iterator[Fact]:
    for order in books.settled_orders():
        # auth-service deletes a guest after 90 days, and a guest can place orders for 30 of them.
        known = order.customer in books.customers or order.is_old
        yield f"order {order.id}: {order.customer}", known


def _check_paid_for(books: Books) -> Iterator[Fact]:
    for order in books.settled_orders(statuses=PAID):
        wanted = (
            "succeeded",
            order.amount,
            order.amount_refunded,
            order.currency,
            order.customer,
            order.payment_id,
        )
        payments = [
            (each.status, each.amount_captured, each.amount_refunded, each.currency, each.customer, each.id)
            for each in books.payments.get(order.id, [])
        ]
        found = ", ".join(f"{status} {captured}" for status, captured, *_ in payments) or "none"
        what = f"order {order.id}: {order.status}, {order.amount} {order.currency}, payment: {found}"
        # A free order needs no payment.
        yield what, payments == ([wanted] if order.amount else [])


def _check_sold(books: Books) -> Iterator[Fact]:
    for order in books.settled_orders(statuses=PAID):
        hold = books.holds.get(order.id)
        found = f"{hold.state} {hold.lines}" if hold else "none"
        what = f"order {order.id}: {order.status} {order.lines}, hold: {found}"
        state = "released" if order.is_restocked else "committed"
        wanted = (state, order.currency, order.lines)
        yield what, hold is not None and (hold.state, hold.currency, hold.lines) == wanted


def _check_parents(books: Books) -> Iterator[Fact]:
    for order in books.settled_orders():
        for variant, product in order.parents or []:
            wanted = books.parents.get(variant, variant)
            what = f"order {order.id}: variant {variant} of product {product}, in the catalogue of {wanted}"
            yield what, product == wanted


def _check_cancelled(books: Books) -> Iterator[Fact]:
    for order in books.settled_orders(statuses={"cancelled"}):
        hold = books.holds.get(order.id)
        held = hold.state if hold and hold.state in {"held", "committed"} else None
        payments = books.payments.get(order.id, [])
        kept = [
            each.status
            for each in payments
            if each.status != "canceled" or each.amount_captured != each.amount_refunded
        ]
        refunded = sum(each.amount_refunded for each in payments)
        what = (
            f"order {order.id}: hold {held or 'none'}, payment {', '.join(kept) or 'none'}, "
            f"{order.amount_refunded} of {refunded} refunded"
        )
        yield what, held is None and not kept and order.amount_refunded == refunded


def _check_refunds(books: Books) -> Iterator[Fact]:
    for order in books.settled_orders():
        payments = books.payments.get(order.id, [])
        theirs = [refund for each in payments for refund in each.refunds or []]
        what = f"order {order.id}: {order.refunds or 'none'}, payments: {theirs or 'none'}"
        yield what, sorted(order.refunds or []) == sorted(theirs)


def _check_holds(books: Books) -> Iterator[Fact]:
    for hold in books.holds.values():
        if hold.state == "committed":
            yield _relate("hold", hold.order_id, books, CONFIRMED)


def _check_payments(books: Books) -> Iterator[Fact]:
    for payment in _all_payments(books):
        statuses = CONFIRMED if payment.status == "succeeded" else None
        yield _relate(f"payment {payment.id}", payment.order_id, books, statuses)


def _relate(what: str, order_id: UUID, books: Books, statuses: frozenset[str] | None) -> Fact:
    """Return whether the order exists and, if statuses are given, has one of them.

    An order's row is written before its stock is reserved, and the order is confirmed before its payment is
    captured. So this holds at every moment, except for an order in progress that is being cancelled.
    """
    order = books.orders.get(order_id)
    if order is None:
        return f"{what}: there is no order {order_id}", False
    is_undone = order.status == "cancelled" and books.is_moving(order_id)
    return (
        f"{what}: order {order_id} is {order.status}",
        statuses is None or order.status in statuses or is_undone,
    )


def _check_charges(books: Books) -> Iterator[Fact]:
    for payment in _all_payments(books):
        if payment.key is None or books.is_moving(payment.order_id):
            continue
        ours = (
            payment.amount,
            payment.currency,
            payment.decline_code,
            payment.amount_captured,
            payment.amount_refunded,
            payment.status == "canceled",
            payment.status == "requires_action",
        )
        theirs = (
            payment.charge_amount,
            payment.charge_currency,
            payment.charge_decline_code,
            payment.charge_captured,
            payment.charge_refunded,
            payment.released,
            payment.awaits_customer,
        )
        yield f"payment {payment.id}: {payment.status} {ours}, charge {theirs}", ours == theirs


def _all_payments(books: Books) -> Iterator[Any]:
    return (payment for payments in books.payments.values() for payment in payments)


COMPARISONS: Mapping[str, Callable[[Books], Iterator[Fact]]] = {
    "orders: each order belongs to a user": _check_customers,
    "orders: each paid order has exactly one captured payment of its amount": _check_paid_for,
    "orders: each paid order has one committed reservation of its lines, unless restocked": _check_sold,
    "orders: each sold variant belongs to its line's product": _check_parents,
    "orders: no cancelled order has a captured payment or a reservation": _check_cancelled,
    "orders: payments-service made exactly the refunds of each order": _check_refunds,
    "stock: each committed reservation belongs to a confirmed order": _check_holds,
    "payments: each belongs to an order, and each captured payment to a confirmed order": _check_payments,
    "payments: each payment equals the provider's charge record": _check_charges,
}
