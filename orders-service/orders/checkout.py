"""The checkout as a process manager: it takes an order from step to step, and any replica can go on with it.

A step makes idempotent calls to other services, with no transaction open, and then one statement records what
came of them. To place an order is one step: hold its stock, authorize its payment, confirm it. A thread that
takes over a half done step begins at the reservation. Settlement commits and captures afterwards. A thread
works on an order under a lease, and the lease's token fences the recording: a thread that lost the lease
records nothing. A cancellation takes the lease over.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from orders.clients import CatalogClient, PaymentsClient
from orders.domain import (
    AWAITING_FOR,
    CONTINUED,
    REFUND,
    SETTLED,
    Line,
    Order,
    Progress,
    Refund,
    Refusal,
    Status,
    Step,
    Told,
    WaitingLimits,
    Work,
    wait_after,
)
from orders.errors import CheckoutRefused, LeaseLost, Postponed
from orders.repository import orders, progress, refunds
from orders.schemas.orders import render_order, render_placed, render_refusal
from shared import context, traces
from shared.database import Database
from shared.errors import Unavailable
from shared.idempotency import Answer

log = logging.getLogger(__name__)

ACTOR = "orders-service"
LONGEST_POLL = timedelta(seconds=15)  # Between two looks at a payment that waits for the customer.

TIMED_OUT = Refusal(
    "timed_out", 409, "checkout_timed_out", "The order could not be finished in time; nothing was charged."
)
STOCK_LOST = Refusal("stock_lost", 409, "stock_lost", "The stock was lost before it could be sold.")
TOO_MANY_WAITING = Refusal(
    "too_many_waiting",
    429,
    "too_many_waiting",
    "Answer the bank about those orders or cancel them, and order again; nothing was charged.",
)
DECLINED = Refusal("payment_declined", 402, "card_declined", "The payment was not approved.")
HELD = frozenset({"requires_capture", "succeeded"})
WAITING = frozenset({"requires_action", "processing"})


@dataclass(frozen=True)
class Outcome:
    """What a step has learned: the events, what is done next, and what changes with that."""

    story: tuple[Told, ...]
    next_step: Step | None
    changes: dict[str, Any] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()
    deadline: datetime | None = None
    refund: Refund | None = None
    # Why the refund failed.
    failure: Refusal | None = None


class Checkout:
    """Takes orders on, in a request's thread or in the service's own.

    `wake_settlement` and `wake_resumers` begin the next round of the threads that take what is left.
    """

    def __init__(
        self,
        database: Database,
        catalog: CatalogClient,
        payments: PaymentsClient,
        *,
        wake_settlement: Callable[[], None],
        wake_resumers: Callable[[], None],
        waiting_limits: WaitingLimits | None,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._payments = payments
        self._wake_settlement = wake_settlement
        self._wake_resumers = wake_resumers
        self._waiting_limits = waiting_limits
        self._steps: dict[str, Callable[[Order], Outcome]] = {
            Step.RESERVE: self._reserve,
            Step.AWAIT_PAYMENT: self._await_payment,
            Step.CANCEL_PAYMENT: self._cancel_payment,
            Step.RELEASE: self._release,
            Step.REFUND: self._refund,
            Step.RESTOCK: self._restock,
        }

    def run(self, order: Order, lease: UUID, *, patience: float, is_new: bool = False) -> Order:
        """Take steps for `patience` seconds; what is left is done by other threads.

        `is_new` is an order that this call has placed. Returns the order as this thread left it; raises
        LeaseLost if somebody else has taken it over.
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
            self._give_lease_back(order, lease, timedelta())
            self._wake_resumers()
        elif order.next_step in SETTLED:
            self._wake_settlement()
        return order

    def finish_due_orders(self) -> None:
        """Take every order that is due as far as it goes, also those that another replica began."""
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
                log.info("Order taken on: %s", after.status)
        except LeaseLost:
            log.warning("Somebody else has taken the order over")
        finally:
            context.leave()

    def _postpone(self, order: Order, lease: UUID, postponed: Postponed) -> None:
        is_poll = order.next_step == Step.AWAIT_PAYMENT
        wait = wait_after(_require_work(order).attempts)
        if is_poll:
            wait = min(wait, LONGEST_POLL)
        level = logging.DEBUG if is_poll else logging.WARNING
        log.log(level, "Step %s waits for %.1f s: %s", order.next_step, wait.total_seconds(), postponed)
        self._give_lease_back(order, lease, wait)

    def _give_lease_back(self, order: Order, lease: UUID, wait: timedelta) -> None:
        with self._database.autocommit() as connection:
            progress.give_lease_back(connection, order, lease, wait=wait)

    def _take_step(self, order: Order, lease: UUID, *, is_new: bool = False) -> Order:
        step = _require_work(order).next_step
        is_late = order.is_late(datetime.now(UTC))
        try:
            if is_late and step == Step.RESERVE:
                outcome = _undo(TIMED_OUT)
            elif is_new:
                # Nobody has asked for its money yet: if its stock is refused, no payment is to be cancelled.
                outcome = self._reserve(order, undo_from=Step.RELEASE)
            else:
                outcome = self._steps[step](order)
        except (Unavailable, Postponed) as away:
            # The customer may have answered in the last moment, so the payment was read first.
            if not is_late:
                raise Postponed(str(away)) from away
            outcome = _undo(TIMED_OUT)
        return self._record(order, outcome, lease)

    def _record(self, order: Order, outcome: Outcome, lease: UUID) -> Order:
        now = datetime.now(UTC)
        step = Progress(
            order.id,
            outcome.story,
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
                actor=ACTOR,
                now=now,
                lines=outcome.lines,
                empties_cart=is_bought and after.cart_version is not None,
                answer=_answer(order, outcome, after),
            )
            if outcome.refund:
                status, code = ("failed", outcome.failure.code) if outcome.failure else ("succeeded", None)
                refunds.finish_refund(connection, outcome.refund, status, code)
        # Each step is in the order's story; the record of the work at hand tells where that has led.
        context.bind({"order.status": after.status})
        return after

    def _reserve(self, order: Order, undo_from: Step = Step.CANCEL_PAYMENT) -> Outcome:
        """Hold the stock, and then authorize the payment: nothing is written in between."""
        try:
            reservation = self._catalog.reserve(order)
        except CheckoutRefused as refused:
            refusal = _refusal_of(refused) if order.status is Status.PENDING else STOCK_LOST
            # Released even if this call held nothing: an earlier one, given up on, may still be on its way.
            return _undo(refusal, undo_from)
        known: dict[str, Any] = {
            "currency": reservation.currency,
            "items_amount": sum(line.amount or 0 for line in reservation.lines),
        }
        outcome = self._authorize(replace(order, **known, lines=reservation.lines))
        return replace(
            outcome,
            story=(Told("stock_reserved"), *outcome.story),
            changes={**known, **outcome.changes},
            lines=reservation.lines,
        )

    def _authorize(self, order: Order) -> Outcome:
        if not order.needs_payment:
            return Outcome((Told("payment_not_needed"),), Step.COMMIT, {"status": Status.CONFIRMED})
        try:
            payment = self._payments.authorize(order)
        except CheckoutRefused as refused:
            return _undo(_refusal_of(refused))
        known = {"payment_id": payment.id, "payment_status": payment.status}
        if payment.status == "requires_action" and order.status is Status.PENDING:
            if excess := self._find_excess(order):
                return _undo(replace(TOO_MANY_WAITING, detail=f"{excess} {TOO_MANY_WAITING.detail}"))
            return Outcome(
                (Told("payment_action_required"),),
                Step.AWAIT_PAYMENT,
                {**known, "status": Status.AWAITING_PAYMENT},
                deadline=datetime.now(UTC) + AWAITING_FOR,
            )
        if payment.status not in HELD:
            raise Postponed(f"the payment is {payment.status}")
        return _confirm(known)

    def _find_excess(self, order: Order) -> str | None:
        """Return which limit this order would pass, whose bank asks for its customer, if there is one.

        Orders that come at the same moment are not counted, so that a few more may wait.
        """
        if self._waiting_limits is None:
            return None
        with self._database.autocommit() as connection:
            return self._waiting_limits.find_excess(*orders.count_waiting(connection, order))

    def _await_payment(self, order: Order) -> Outcome:
        payment = self._payments.read(order.id)
        if payment.status in WAITING:
            raise Postponed(f"the payment is {payment.status}")
        if payment.status not in HELD:
            return _undo(DECLINED)
        return _confirm({"payment_status": payment.status})

    def _cancel_payment(self, order: Order) -> Outcome:
        payment = self._payments.cancel(order.id)
        if payment.status != "canceled":
            raise Postponed(f"the payment is {payment.status}")
        given_back = {"payment_status": payment.status, "amount_refunded": payment.amount_refunded}
        return Outcome((Told("payment_cancelled"),), Step.RELEASE, given_back)

    def _release(self, order: Order) -> Outcome:
        self._catalog.release(order.id)
        reason = order.refusal.reason if order.refusal else None
        return Outcome((Told("cancelled", reason),), None, {"status": Status.CANCELLED, "reason": reason})

    def _refund(self, order: Order) -> Outcome:
        with self._database.autocommit() as connection:
            refund = refunds.read_pending_refund(connection, order.id)
        try:
            self._payments.refund(refund)
        except CheckoutRefused as refused:
            failed = (Told("refund_failed", refused.code),)
            return Outcome(failed, None, refund=refund, failure=_refusal_of(refused))
        return Outcome(
            (Told("refunded", f"{refund.amount} {order.currency}"),),
            Step.RESTOCK if refund.restock else None,
            {
                "amount_refunded": order.amount_refunded + refund.amount,
                "status": order.status_after(refund),
            },
            refund=refund,
        )

    def _restock(self, order: Order) -> Outcome:
        self._catalog.release(order.id)
        return Outcome((Told("restocked"),), None)


def _require_work(order: Order) -> Work:
    if order.work is None:
        raise ValueError("Nothing is left to do for the order.")
    return order.work


def _refusal_of(refused: CheckoutRefused) -> Refusal:
    return Refusal(refused.reason, refused.status, refused.code, refused.detail, refused.extra)


def _confirm(known: dict[str, Any]) -> Outcome:
    return Outcome((Told("payment_authorized"),), Step.COMMIT, {**known, "status": Status.CONFIRMED})


def _undo(refusal: Refusal, first: Step = Step.CANCEL_PAYMENT) -> Outcome:
    """Return that the order is undone; its payment first, wherever there may be one, whatever came back."""
    return Outcome((Told("refused", refusal.reason),), first, {"refusal": refusal})


def _answer(before: Order, outcome: Outcome, after: Order) -> Answer | None:
    """Return the answer of the call that has waited for this, if one has."""
    if outcome.failure:
        return render_refusal(after, outcome.failure, _require_work(before).request_id)
    if before.status is Status.PENDING is not after.status:
        return render_placed(after)
    if before.next_step in REFUND and after.work is None:
        return render_order(after, 200)
    return None
