"""The checkout as a process manager: it takes an order from step to step, and any replica can go on with it.

The plan stands in `domain`. Each step is one idempotent call to another service, with no transaction open,
and then one short transaction here that records what came of it. A lease says whose turn it is, and its token
fences the recording: whoever lost the lease records nothing. A cancellation takes the lease over; a refund is
a plan of its own.
"""

import logging
import queue
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from orders.clients import CatalogClient, PaymentsClient
from orders.domain import (
    ASK_CUSTOMER,
    AWAITING_FOR,
    CHECKOUT,
    DETOUR,
    PLAN,
    REFUND,
    Line,
    Order,
    Refund,
    Refusal,
    Status,
    Step,
    Transition,
)
from orders.errors import CheckoutRefused, LeaseLost, Postponed
from orders.repository import carts, keys, orders, progress, refunds
from orders.schemas.orders import render_order, render_placed, render_refusal
from shared import context, traces
from shared.database import Connection, Database
from shared.errors import Unavailable

log = logging.getLogger(__name__)

ACTOR = "orders-service"
FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0  # Seconds before a step that could not be done is tried again.
LONGEST_POLL = 15.0  # Seconds between two looks at a payment that waits for the customer.
DOUBLINGS = 10  # Of the wait; it has reached its longest before.
ROOM = 16  # Orders that were answered and wait for a thread of this process.
PATIENCE = 1.0  # Seconds that an answer is held up for when there is no room, so that finishing keeps up.

TIMED_OUT = Refusal(
    "timed_out", 409, "checkout_timed_out", "The order could not be finished in time; nothing was charged."
)
STOCK_LOST = Refusal("stock_lost", 409, "stock_lost", "The stock was lost before it could be sold.")
DECLINED = Refusal("payment_declined", 402, "card_declined", "The payment was not approved.")
# Steps that nobody is answered after, so that recording one is a single statement.
ALONE = frozenset({Step.COMMIT, Step.CAPTURE, Step.CANCEL_PAYMENT})
HELD = frozenset({"requires_capture", "succeeded"})
WAITING = frozenset({"requires_action", "processing"})


@dataclass(frozen=True)
class Outcome:
    """What a step's call has learned, to be recorded with its success."""

    transition: Transition
    changes: dict[str, Any] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()
    refund: Refund | None = None


class Checkout:
    """Takes orders on, in a request's thread or in the service's own."""

    def __init__(self, database: Database, catalog: CatalogClient, payments: PaymentsClient) -> None:
        self._database = database
        self._catalog = catalog
        self._payments = payments
        self._handed_over: queue.Queue[tuple[Order, UUID]] = queue.Queue(ROOM)
        self._calls: dict[Step, Callable[[Order], Outcome]] = {
            Step.RESERVE: self._reserve,
            Step.AUTHORIZE: self._authorize,
            Step.AWAIT_PAYMENT: self._await_payment,
            Step.COMMIT: self._commit,
            Step.CAPTURE: self._capture,
            Step.CANCEL_PAYMENT: self._cancel_payment,
            Step.RELEASE: self._release,
            Step.REFUND: self._refund,
            Step.RESTOCK: self._restock,
        }

    def run_while(
        self, order: Order, lease: UUID, goes_on: Callable[[Order], bool], *, patience: float
    ) -> Order:
        """Take steps while `goes_on` says so, for `patience` seconds; what is left is done by other threads.

        Returns the order as this thread left it; raises LeaseLost if somebody else has taken it over.
        """
        give_up = time.monotonic() + patience
        order, is_ours = self._run(order, lease, lambda order: goes_on(order) and time.monotonic() < give_up)
        if is_ours:
            try:
                self._handed_over.put((order, lease), timeout=PATIENCE)
            except queue.Full:
                with self._database.transaction() as connection:
                    progress.give_lease_back(connection, order, lease, wait=timedelta())
        return order

    def finish_handed_over(self, *, patience: float) -> None:
        """Finish what requests of this process have begun, until there is nothing for `patience` seconds."""
        while True:
            try:
                order, lease = self._handed_over.get(timeout=patience)
            except queue.Empty:
                return
            self._finish(order, lease)

    def finish_due_orders(self) -> None:
        """Finish every order whose turn it is, whoever began it."""
        while True:
            with self._database.transaction() as connection:
                claimed = progress.claim_due_order(connection)
            if claimed is None:
                return
            self._finish(*claimed)

    def _finish(self, order: Order, lease: UUID) -> None:
        context.enter(context.continue_from(order.request_id, order.traceparent))
        try:
            context.bind({"order.id": str(order.id)})
            with traces.resumed_work("finish order"):
                self._run(order, lease, lambda _order: True)
        except LeaseLost:
            log.warning("Somebody else has taken the order over")
        finally:
            context.leave()

    def _run(self, order: Order, lease: UUID, goes_on: Callable[[Order], bool]) -> tuple[Order, bool]:
        """Take steps; return the order, and whether it has more that are this lease's to take."""
        try:
            while order.next_step is not None and goes_on(order):
                order = self._take_step(order, order.next_step, lease)
        except Postponed as postponed:
            self._postpone(order, lease, postponed)
            return order, False
        return order, order.next_step is not None

    def _postpone(self, order: Order, lease: UUID, postponed: Postponed) -> None:
        is_poll = order.next_step is Step.AWAIT_PAYMENT
        longest = LONGEST_POLL if is_poll else LONGEST_WAIT
        seconds = min(FIRST_WAIT * 2 ** min(order.attempts, DOUBLINGS), longest)
        level = logging.DEBUG if is_poll else logging.WARNING
        log.log(level, "Step %s waits for %.1f s: %s", order.next_step, seconds, postponed)
        with self._database.transaction() as connection:
            progress.give_lease_back(connection, order, lease, wait=timedelta(seconds=seconds))

    def _take_step(self, order: Order, step: Step, lease: UUID) -> Order:
        is_late = order.is_late(datetime.now(UTC))
        if is_late and step in CHECKOUT:
            return self._begin_undo(order, TIMED_OUT, lease)
        try:
            outcome = self._calls[step](order) if order.needs(step) else _pass_over(step)
        except CheckoutRefused as refused:
            return self._handle_refusal(order, step, refused, lease)
        except (Unavailable, Postponed) as away:
            # The customer may have answered in the last moment, so the payment was read first.
            if is_late:
                return self._begin_undo(order, TIMED_OUT, lease)
            raise Postponed(str(away)) from away
        return self._record(order, step, outcome, lease)

    def _handle_refusal(self, order: Order, step: Step, refused: CheckoutRefused, lease: UUID) -> Order:
        refusal = Refusal(refused.reason, refused.status, refused.code, refused.detail, refused.extra)
        if step is Step.REFUND:
            return self._fail_refund(order, refusal, lease)
        if step is Step.COMMIT:
            # The hold lapsed. Reserving again and asking for the same payment again lead back to here.
            with self._database.autocommit() as connection:
                return _change(connection, order, lease, "reservation_lapsed", next_step=Step.RESERVE)
        if step is Step.RESERVE and order.status is not Status.PENDING:
            refusal = STOCK_LOST
        # Released even if this call held nothing: an earlier one, given up on, may still be on its way.
        return self._begin_undo(order, refusal, lease)

    def _record(self, order: Order, step: Step, outcome: Outcome, lease: UUID) -> Order:
        plan, detail = outcome.transition, None
        changes = {"status": plan.status or order.status, "next_step": plan.next_step, **outcome.changes}
        if plan.status is Status.CANCELLED and order.refusal:
            changes["reason"] = detail = order.refusal.reason
        if outcome.refund:
            detail = f"{outcome.refund.amount} {order.currency}"
        begin = self._database.autocommit if step in ALONE else self._database.transaction
        with begin() as connection:
            after = _change(connection, order, lease, plan.event, detail, attempts=0, **changes)
            if outcome.lines:
                orders.update_lines(connection, order.id, outcome.lines)
                after = replace(after, lines=outcome.lines)
            if outcome.refund:
                refunds.finish_refund(connection, outcome.refund, "succeeded")
            _answer(connection, order, step, after)
        return after

    def _begin_undo(self, order: Order, refusal: Refusal, lease: UUID) -> Order:
        undo = {"next_step": order.begin_undo(), "refusal": asdict(refusal), "attempts": 0}
        with self._database.autocommit() as connection:
            return _change(connection, order, lease, "refused", refusal.reason, **undo)

    def _fail_refund(self, order: Order, refusal: Refusal, lease: UUID) -> Order:
        with self._database.transaction() as connection:
            after = _change(connection, order, lease, "refund_failed", refusal.code, next_step=None)
            refund = refunds.read_pending_refund(connection, order.id)
            refunds.finish_refund(connection, refund, "failed", refusal.code)
            keys.store_answer(connection, order.id, render_refusal(after, refusal))
        return after

    def _reserve(self, order: Order) -> Outcome:
        reservation = self._catalog.reserve(order)
        amount = sum(line.amount or 0 for line in reservation.lines)
        known = {"currency": reservation.currency, "items_amount": amount}
        return Outcome(PLAN[Step.RESERVE], known, reservation.lines)

    def _authorize(self, order: Order) -> Outcome:
        payment = self._payments.authorize(order)
        known = {"payment_id": payment.id, "payment_status": payment.status}
        if payment.status == "requires_action" and order.status is Status.PENDING:
            return Outcome(ASK_CUSTOMER, {**known, "deadline": datetime.now(UTC) + AWAITING_FOR})
        if payment.status not in HELD:
            raise Postponed(f"the payment is {payment.status}")
        return Outcome(PLAN[Step.AUTHORIZE], known)

    def _await_payment(self, order: Order) -> Outcome:
        payment = self._payments.read(order.id)
        if payment.status in WAITING:
            raise Postponed(f"the payment is {payment.status}")
        if payment.status not in HELD:
            raise CheckoutRefused(DECLINED.reason, DECLINED.status, DECLINED.code, DECLINED.detail)
        return Outcome(DETOUR[Step.AWAIT_PAYMENT], {"payment_status": payment.status})

    def _commit(self, order: Order) -> Outcome:
        self._catalog.commit(order.id)
        return Outcome(PLAN[Step.COMMIT])

    def _capture(self, order: Order) -> Outcome:
        return Outcome(PLAN[Step.CAPTURE], {"payment_status": self._payments.capture(order.id).status})

    def _cancel_payment(self, order: Order) -> Outcome:
        payment = self._payments.cancel(order.id)
        if payment.status != "canceled":
            raise Postponed(f"the payment is {payment.status}")
        given_back = {"payment_status": payment.status, "amount_refunded": payment.amount_refunded}
        return Outcome(PLAN[Step.CANCEL_PAYMENT], given_back)

    def _release(self, order: Order) -> Outcome:
        self._catalog.release(order.id)
        return Outcome(PLAN[Step.RELEASE])

    def _refund(self, order: Order) -> Outcome:
        with self._database.transaction() as connection:
            refund = refunds.read_pending_refund(connection, order.id)
        self._payments.refund(refund)
        known = {
            "amount_refunded": order.amount_refunded + refund.amount,
            "status": order.status_after(refund),
            "next_step": Step.RESTOCK if refund.restock else None,
        }
        return Outcome(PLAN[Step.REFUND], known, refund=refund)

    def _restock(self, order: Order) -> Outcome:
        self._catalog.release(order.id)
        return Outcome(PLAN[Step.RESTOCK])


def _pass_over(step: Step) -> Outcome:
    return Outcome(replace(PLAN[step], event="payment_not_needed"))


def _change(
    connection: Connection, order: Order, lease: UUID, kind: str, detail: str | None = None, **changes: Any
) -> Order:
    after = progress.change_order(connection, order, kind, actor=ACTOR, detail=detail, lease=lease, **changes)
    # Each step is in the order's story; the log tells where that has led.
    level = logging.DEBUG if after.status is order.status else logging.INFO
    log.log(level, "Order %s: %s", kind, after.status, extra={"order.status": str(after.status)})
    return after


def _answer(connection: Connection, before: Order, step: Step, after: Order) -> None:
    """Keep the answer of the call that has waited for this, and take from the cart what is bought."""
    if after.status is Status.CONFIRMED is not before.status:
        carts.remove_items(connection, after.customer, [line.product_id for line in after.lines])
    if before.status is Status.PENDING is not after.status:
        keys.store_answer(connection, after.id, render_placed(after))
    if step in REFUND and after.next_step is None:
        keys.store_answer(connection, after.id, render_order(after, 200))
