"""The checkout: take an order from step to step. Any replica can continue any order.

A thread works on an order under a lease. It takes a step with no transaction open, and then records the
outcome with one statement. The lease's token fences that statement: a thread that lost the lease records
nothing. A cancellation takes over the lease.

The first step reserves the stock, authorizes the payment and confirms the order. A thread that takes over an
order before that step is recorded repeats all of it. Settlement then commits the stock and captures the
payment.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from orders import steps
from orders.clients import CatalogClient, PaymentsClient, Reservation
from orders.domain import (
    CONTINUED,
    SETTLED,
    Order,
    Progress,
    Refund,
    Refusal,
    Status,
    Step,
    WaitingLimits,
    Work,
    wait_after,
)
from orders.errors import LeaseLost, Postponed
from orders.repository import coupons, orders, progress, refunds
from orders.rule_book import RuleBook
from orders.schemas.answers import render_answer
from orders.steps import Outcome
from orders.totals import Coupon, Quote, quote_order
from shared import context, traces
from shared.database import Database
from shared.errors import Unavailable

log = logging.getLogger(__name__)

LONGEST_POLL = timedelta(seconds=15)  # Between two polls of a payment that waits for the customer.
TIMED_OUT = Refusal(
    "timed_out", "checkout_timed_out", "The order could not be finished in time; nothing was charged."
)


class Checkout:
    """Runs the steps of orders, in a request's thread or in a background thread.

    `wake_settlement` and `wake_resumers` start the next round of the background threads.
    """

    def __init__(
        self,
        database: Database,
        catalog: CatalogClient,
        payments: PaymentsClient,
        *,
        wake_settlement: Callable[[], None],
        wake_resumers: Callable[[], None],
        rule_book: RuleBook,
        waiting_limits: WaitingLimits | None,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._payments = payments
        self._rule_book = rule_book
        self._wake_settlement = wake_settlement
        self._wake_resumers = wake_resumers
        self._waiting_limits = waiting_limits

    def run(self, order: Order, lease: UUID, *, patience: float, is_new: bool = False) -> Order:
        """Take steps for `patience` seconds; background threads take the remaining ones.

        `is_new` marks an order that this call has placed. Returns the order as this thread left it; raises
        LeaseLost if another thread has taken over the order.
        """
        give_up = time.monotonic() + patience
        try:
            order = self._take_step(order, lease, is_new=is_new)
            while order.next_step in CONTINUED and time.monotonic() < give_up:
                order = self._take_step(order, lease)
        except Postponed as postponed:
            self._postpone(order, lease, postponed)
            return order
        if order.next_step in CONTINUED:
            self._release_lease(order, lease, timedelta())
            self._wake_resumers()
        elif order.next_step in SETTLED:
            self._wake_settlement()
        return order

    def finish_due_orders(self) -> None:
        """Continue every due order, including those that another replica started."""
        while True:
            with self._database.transaction() as connection:
                claimed = progress.claim_due_order(connection)
            if claimed is None:
                return
            self._finish(*claimed)

    def _finish(self, order: Order, lease: UUID) -> None:
        work = _require_work(order)
        context.enter(context.continue_from(work.request_id, work.traceparent))
        try:
            context.bind({"order.id": str(order.id)})
            with traces.resumed_work("finish order"):
                after = self.run(order, lease, patience=float("inf"))
            if after.next_step != order.next_step:
                log.info("Order resumed: %s", after.status)
        except LeaseLost:
            log.warning("Another thread has taken over the order")
        finally:
            context.leave()

    def _postpone(self, order: Order, lease: UUID, postponed: Postponed) -> None:
        is_poll = order.next_step == Step.AWAIT_PAYMENT
        wait = wait_after(_require_work(order).attempts)
        if is_poll:
            wait = min(wait, LONGEST_POLL)
        level = logging.DEBUG if is_poll else logging.WARNING
        log.log(level, "Step %s is retried in %.1f s: %s", order.next_step, wait.total_seconds(), postponed)
        self._release_lease(order, lease, wait)

    def _release_lease(self, order: Order, lease: UUID, wait: timedelta) -> None:
        with self._database.autocommit() as connection:
            progress.release_lease(connection, order, lease, wait=wait)

    def _take_step(self, order: Order, lease: UUID, *, is_new: bool = False) -> Order:
        is_late = order.is_late(datetime.now(UTC))
        try:
            if is_late and order.next_step == Step.RESERVE:
                outcome = steps.undo(TIMED_OUT)
            else:
                outcome = self._call(order, is_new=is_new)
        except (Unavailable, Postponed) as away:
            # A late order is undone only after this poll: the customer may have paid in the last moment.
            if not is_late:
                raise Postponed(str(away)) from away
            outcome = steps.undo(TIMED_OUT)
        return self._record(order, outcome, lease)

    def _call(self, order: Order, *, is_new: bool) -> Outcome:
        match order.next_step:
            case Step.RESERVE:
                # No call has authorized a new order's payment yet, so a refused stock leaves none to cancel.
                undo_from = Step.RELEASE if is_new else Step.CANCEL_PAYMENT
                return steps.reserve_stock(
                    order,
                    self._catalog,
                    self._payments,
                    self._find_excess,
                    self._find_quote,
                    undo_from=undo_from,
                )
            case Step.AWAIT_PAYMENT:
                return steps.await_payment(order, self._payments)
            case Step.CANCEL_PAYMENT:
                return steps.cancel_payment(order, self._payments)
            case Step.RELEASE:
                return steps.release_stock(order, self._catalog)
            case Step.REFUND:
                return steps.refund_payment(order, self._payments, self._read_refund(order))
            case Step.RESTOCK:
                return steps.restock(order, self._catalog)
        raise ValueError(f"The checkout does not take the step {order.next_step}.")

    def _find_quote(self, order: Order, reservation: Reservation) -> Quote:
        """Return what the order costs; raise CouponNotUsable, or the problem of its shipping method."""
        rules = self._rule_book.read(order.rules_version)
        coupon = self._read_coupon(order) if order.coupon is not None else None
        return quote_order(
            reservation.items, coupon, order.destination, order.shipping_method, rules, is_order=True
        )

    def _read_coupon(self, order: Order) -> Coupon:
        if order.coupon_terms is not None:
            return order.coupon_terms
        with self._database.autocommit() as connection:
            return coupons.find_coupon_of_order(connection, order.id)

    def _find_excess(self, order: Order) -> str | None:
        """Return the limit that this order would exceed if it waited for its customer; None without one.

        Orders that are placed at the same moment are not counted, so a few more than the limit may wait.
        """
        if self._waiting_limits is None:
            return None
        with self._database.autocommit() as connection:
            return self._waiting_limits.find_excess(*orders.count_waiting(connection, order))

    def _read_refund(self, order: Order) -> Refund:
        with self._database.autocommit() as connection:
            return refunds.read_pending_refund(connection, order.id)

    def _record(self, order: Order, outcome: Outcome, lease: UUID) -> Order:
        now = datetime.now(UTC)
        step = Progress(
            order.id,
            outcome.events,
            outcome.next_step,
            keeps_lease=outcome.next_step in CONTINUED,
            wait=wait_after(0) if outcome.next_step is Step.AWAIT_PAYMENT else timedelta(),
            deadline=outcome.deadline or _require_work(order).deadline,
            changes=outcome.changes,
        )
        after = replace(order.advance(step, now), lines=outcome.lines or order.lines)
        is_bought = after.status is Status.CONFIRMED is not order.status
        begin = self._database.transaction if outcome.refund else self._database.autocommit
        with begin() as connection:
            progress.record_step(
                connection,
                step,
                lease,
                now=now,
                lines=outcome.lines,
                empties_cart=is_bought and after.cart_version is not None,
                spends_coupon=is_bought and after.cart_version is not None and after.coupon is not None,
                answer=render_answer(order, after, outcome.failure),
            )
            if outcome.refund:
                status, code = ("failed", outcome.failure.code) if outcome.failure else ("succeeded", None)
                refunds.finish_refund(connection, outcome.refund, status, code)
        # Each step is an event of the order; the request's log record has only the last status.
        context.bind({"order.status": after.status})
        return after


def _require_work(order: Order) -> Work:
    if order.work is None:
        raise ValueError("The order has no step left to take.")
    return order.work
