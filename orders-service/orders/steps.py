"""The steps of a checkout, one function each.

A step calls another service and returns an Outcome; it writes nothing. Each call is idempotent, so any thread
can repeat a step. A step raises Postponed or Unavailable to be retried later.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from orders.clients import CatalogClient, PaymentsClient, Reservation
from orders.domain import (
    AWAITING_FOR,
    Line,
    NewEvent,
    Order,
    Refund,
    Refusal,
    Status,
    Step,
    name_refused_lines,
)
from orders.errors import CheckoutRefused, PaymentMethodRequired, Postponed
from orders.totals import Quote, Rules, Totals, price_order
from shared.errors import Problem

STOCK_LOST = Refusal("stock_lost", "stock_lost", "The stock was lost before it could be sold.")
TOO_MANY_WAITING = Refusal(
    "too_many_waiting",
    "too_many_waiting",
    "Complete the payment of those orders or cancel them, and order again; nothing was charged.",
)
AMOUNT_CHANGED = Refusal(
    "amount_changed",
    "amount_changed",
    "The total has changed; see amount. Review it and order again; nothing was charged.",
)
DECLINED = Refusal("payment_declined", "card_declined", "The payment was not approved.")
# The members of an order that its price consists of.
PRICED = ("currency", "items_amount", "adjustments", "tax_amount", "amount")
# Statuses of a payment.
AUTHORIZED = frozenset({"requires_capture", "succeeded"})
UNDECIDED = frozenset({"requires_action", "processing"})


@dataclass(frozen=True)
class Outcome:
    """The result of a step: its events, the next step, and the changes to the order."""

    events: tuple[NewEvent, ...]
    next_step: Step | None
    changes: dict[str, Any] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()
    deadline: datetime | None = None
    refund: Refund | None = None
    # Why the refund failed.
    failure: Refusal | None = None


def reserve_stock(
    order: Order,
    catalog: CatalogClient,
    payments: PaymentsClient,
    find_excess: Callable[[Order], str | None],
    find_quote: Callable[[Order, Reservation], Quote],
    *,
    undo_from: Step = Step.CANCEL_PAYMENT,
) -> Outcome:
    """Reserve the stock, price the order and authorize the payment; nothing is written in between.

    If the stock is refused, `find_quote` raises a Problem, or the total is not the expected one, the order is
    undone from `undo_from` on.
    """
    try:
        reservation = catalog.reserve(order)
    except CheckoutRefused as refused:
        refusal = _explain_stock(order, refused) if order.status is Status.PENDING else STOCK_LOST
        # Release even if this call reserved nothing: an earlier call that timed out may still arrive.
        return undo(refusal, undo_from)
    reserved = NewEvent("stock_reserved")
    if order.status is not Status.PENDING:
        # Its reservation had lapsed. The order keeps its totals.
        outcome = authorize_payment(order, payments, find_excess)
        return replace(outcome, events=(reserved, *outcome.events))
    held = replace(order, currency=reservation.currency, lines=reservation.lines)
    try:
        quote = find_quote(order, reservation)
    except Problem as problem:
        # The refused order shows what its items cost.
        held = _apply(held, price_order(reservation.items, None, None, None, Rules()))
        outcome = undo(_to_refusal(problem), undo_from)
    else:
        held = _apply(held, quote.totals)
        if not held.is_as_expected:
            outcome = undo(_explain_amount(held, quote), undo_from)
        elif held.needs_payment and held.payment_method is None:
            needed = PaymentMethodRequired(amount=held.amount, currency=held.currency)
            outcome = undo(_to_refusal(needed), undo_from)
        else:
            outcome = authorize_payment(held, payments, find_excess)
    priced = {name: getattr(held, name) for name in PRICED}
    return replace(
        outcome,
        events=(reserved, *outcome.events),
        changes={**priced, **outcome.changes},
        lines=held.lines,
    )


def _apply(order: Order, totals: Totals) -> Order:
    """Return the order with these totals."""
    parts = {line.variant_id: line for line in totals.lines}
    lines = [
        replace(
            line,
            discount_amount=parts[line.product_id].discount_amount,
            tax_rate=parts[line.product_id].tax_rate,
            tax_amount=parts[line.product_id].tax_amount,
        )
        for line in order.lines
    ]
    return replace(
        order,
        items_amount=totals.items_amount,
        adjustments=totals.adjustments,
        tax_amount=totals.tax_amount,
        amount=totals.amount,
        lines=tuple(lines),
    )


def authorize_payment(
    order: Order, payments: PaymentsClient, find_excess: Callable[[Order], str | None]
) -> Outcome:
    """Authorize the payment.

    If the bank requires authentication, the order waits for its customer. It is undone instead if
    `find_excess` returns a limit that it would exceed.
    """
    if not order.needs_payment:
        return Outcome((NewEvent("payment_not_needed"),), Step.COMMIT, {"status": Status.CONFIRMED})
    try:
        payment = payments.authorize(order)
    except CheckoutRefused as refused:
        return undo(_to_refusal(refused))
    changes = {"payment_id": payment.id, "payment_status": payment.status}
    if payment.status == "requires_action" and order.status is Status.PENDING:
        if excess := find_excess(order):
            return undo(replace(TOO_MANY_WAITING, detail=f"{excess} {TOO_MANY_WAITING.detail}"))
        return Outcome(
            (NewEvent("payment_action_required"),),
            Step.AWAIT_PAYMENT,
            {**changes, "status": Status.AWAITING_PAYMENT},
            deadline=datetime.now(UTC) + AWAITING_FOR,
        )
    if payment.status not in AUTHORIZED:
        raise Postponed(f"the payment is {payment.status}")
    return _confirm(changes)


def await_payment(order: Order, payments: PaymentsClient) -> Outcome:
    """Poll a payment that waits for its customer."""
    payment = payments.read(order.id)
    if payment.status in UNDECIDED:
        raise Postponed(f"the payment is {payment.status}")
    if payment.status not in AUTHORIZED:
        return undo(DECLINED)
    return _confirm({"payment_status": payment.status})


def cancel_payment(order: Order, payments: PaymentsClient) -> Outcome:
    """Cancel the payment, or refund it if it was captured."""
    payment = payments.cancel(order.id)
    if payment.status != "canceled":
        raise Postponed(f"the payment is {payment.status}")
    changes = {"payment_status": payment.status, "amount_refunded": payment.amount_refunded}
    return Outcome((NewEvent("payment_cancelled"),), Step.RELEASE, changes)


def release_stock(order: Order, catalog: CatalogClient) -> Outcome:
    """Release the reservation of an order that is undone, which is then cancelled."""
    catalog.release(order.id)
    reason = order.refusal.reason if order.refusal else None
    changes = {"status": Status.CANCELLED, "reason": reason}
    return Outcome((NewEvent("cancelled", reason),), None, changes)


def refund_payment(order: Order, payments: PaymentsClient, refund: Refund) -> Outcome:
    """Make a pending refund."""
    try:
        payments.refund(refund)
    except CheckoutRefused as refused:
        failed = (NewEvent("refund_failed", refused.code),)
        return Outcome(failed, None, refund=refund, failure=_to_refusal(refused))
    changes = {
        "amount_refunded": order.amount_refunded + refund.amount,
        "status": order.status_after(refund),
    }
    event = NewEvent("refunded", f"{refund.amount} {order.currency}")
    return Outcome((event,), Step.RESTOCK if refund.restock else None, changes, refund=refund)


def restock(order: Order, catalog: CatalogClient) -> Outcome:
    """Return the units of a refunded order to the stock."""
    catalog.release(order.id)
    return Outcome((NewEvent("restocked"),), None)


def undo(refusal: Refusal, first: Step = Step.CANCEL_PAYMENT) -> Outcome:
    """Return that the order is undone: its payment first, because any call may have authorized it."""
    return Outcome((NewEvent("refused", refusal.reason),), first, {"refusal": refusal})


def _confirm(changes: dict[str, Any]) -> Outcome:
    return Outcome((NewEvent("payment_authorized"),), Step.COMMIT, {**changes, "status": Status.CONFIRMED})


def _explain_amount(order: Order, quote: Quote) -> Refusal:
    lines = [
        {
            "product_id": line.product_number,
            "variant_id": line.product_id,
            "quantity": line.quantity,
            "unit_amount": line.unit_amount,
            "amount": line.amount,
            "discount_amount": line.discount_amount,
        }
        for line in order.lines
    ]
    return replace(AMOUNT_CHANGED, extra={**quote.describe(), "currency": order.currency, "lines": lines})


def _explain_stock(order: Order, refused: CheckoutRefused) -> Refusal:
    refusal = _to_refusal(refused)
    # The lines of this refusal are products, of which the customer has yet to choose a variant.
    if refused.code == "variant_required" or "lines" not in refused.extra:
        return refusal
    lines = name_refused_lines(order.lines, refused.extra["lines"])
    return replace(refusal, extra={**refused.extra, "lines": lines})


def _to_refusal(refused: Problem) -> Refusal:
    reason = refused.reason if isinstance(refused, CheckoutRefused) else refused.code
    return Refusal(reason, refused.code, refused.detail, refused.extra)
