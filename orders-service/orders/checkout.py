"""The checkout as a process manager: it takes an order from step to step, and any replica can go on with it.

The plan stands in `domain`. Each step is one idempotent call to another service, with no transaction open,
and then one short transaction here that records what came of it. A lease says whose turn it is, and its token
fences the recording: whoever lost the lease records nothing.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from orders import repository
from orders.clients import CatalogClient, PaymentsClient
from orders.domain import CHECKOUT, PLAN, Answer, Order, Refusal, Status, Step, begin_undo
from orders.errors import CheckoutRefused, LeaseLost, Postponed
from orders.schemas import OrderOut
from shared import context, errors
from shared.database import Connection, Database

log = logging.getLogger(__name__)

ACTOR = "orders-service"
FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0  # Seconds before a step that could not be done is tried again.
EVENTS = {
    Step.RESERVE: "stock_reserved",
    Step.AUTHORIZE: "payment_authorized",
    Step.COMMIT: "stock_committed",
    Step.CAPTURE: "payment_captured",
    Step.CANCEL_PAYMENT: "payment_cancelled",
    Step.RELEASE: "stock_released",
}

# What a step's call has learned about the order, to be recorded with its success.
Changes = dict[str, Any]


class Checkout:
    """Takes orders on, in a request's thread or in the service's own."""

    def __init__(self, database: Database, catalog: CatalogClient, payments: PaymentsClient) -> None:
        self._database = database
        self._catalog = catalog
        self._payments = payments
        self._calls: dict[Step, Callable[[Order], Changes]] = {
            Step.RESERVE: self._reserve,
            Step.AUTHORIZE: self._authorize,
            Step.COMMIT: self._commit,
            Step.CAPTURE: self._capture,
            Step.CANCEL_PAYMENT: self._cancel_payment,
            Step.RELEASE: self._release,
        }

    def run_until_answered(self, order: Order, lease: UUID, *, patience: float) -> None:
        """Take steps until the order has left `pending`, or `patience` seconds are over; then let it go."""
        give_up = time.monotonic() + patience
        self._run(order, lease, lambda order: order.status is Status.PENDING and time.monotonic() < give_up)

    def run_due_orders(self) -> None:
        """Take every order whose turn it is as far as it will go: the background's round."""
        while True:
            with self._database.transaction() as connection:
                claimed = repository.claim_due_order(connection)
            if claimed is None:
                return
            order, lease = claimed
            context.enter(context.continue_from(order.request_id, order.traceparent))
            try:
                context.bind({"order.id": str(order.id)})
                self._run(order, lease, lambda _order: True)
            finally:
                context.leave()

    def _run(self, order: Order, lease: UUID, goes_on: Callable[[Order], bool]) -> None:
        wait = timedelta()
        try:
            while order.next_step is not None and goes_on(order):
                order = self._take_step(order, order.next_step, lease)
        except LeaseLost:
            log.warning("Another replica has taken the order over")
            return
        except Postponed as postponed:
            seconds = min(FIRST_WAIT * 2**order.attempts, LONGEST_WAIT)
            log.warning("Step %s waits for %.1f s: %s", order.next_step, seconds, postponed)
            wait = timedelta(seconds=seconds)
        with self._database.transaction() as connection:
            repository.give_lease_back(connection, order.id, lease, wait=wait)

    def _take_step(self, order: Order, step: Step, lease: UUID) -> Order:
        is_late = order.status is Status.PENDING and datetime.now(UTC) > order.deadline
        if is_late and step in CHECKOUT:
            return self._begin_undo(order, begin_undo(step), TIMED_OUT, lease)
        try:
            changes = self._calls[step](order)
        except CheckoutRefused as refused:
            return self._handle_refusal(order, step, refused, lease)
        except errors.Unavailable as away:
            raise Postponed(away.detail) from away
        return self._record(order, step, changes, lease)

    def _handle_refusal(self, order: Order, step: Step, refused: CheckoutRefused, lease: UUID) -> Order:
        if step is Step.COMMIT:
            # The hold lapsed. Reserving again and asking for the same payment again lead back to here.
            with self._database.transaction() as connection:
                return repository.update_leased(connection, order.id, lease, next_step=Step.RESERVE)
        refusal = Refusal(refused.reason, refused.status, refused.code, refused.detail, refused.extra)
        if step is Step.RESERVE and order.status is not Status.PENDING:
            return self._begin_undo(order, Step.CANCEL_PAYMENT, STOCK_LOST, lease)
        # Released even if this call held nothing: an earlier one, given up on, may still be on its way.
        return self._begin_undo(order, begin_undo(step), refusal, lease)

    def _record(self, order: Order, step: Step, changes: Changes, lease: UUID) -> Order:
        transition = PLAN[step]
        if transition.status is Status.CANCELLED:
            return self._finish_cancelled(order, order.refusal or TIMED_OUT, lease)
        status = transition.status or order.status
        lines = changes.pop("lines", None)
        with self._database.transaction() as connection:
            if lines:
                repository.update_lines(connection, order.id, lines)
            recorded = repository.update_leased(
                connection,
                order.id,
                lease,
                status=status,
                next_step=transition.next_step,
                attempts=0,
                **changes,
            )
            self._tell(connection, order, EVENTS[step], status)
            if order.status is Status.PENDING and status is Status.CONFIRMED:
                repository.remove_cart_items(
                    connection, order.customer, [line.product_id for line in order.lines]
                )
                repository.store_answer(connection, order.id, render_order(recorded))
        return recorded

    def _begin_undo(self, order: Order, first: Step, refusal: Refusal, lease: UUID) -> Order:
        with self._database.transaction() as connection:
            self._tell(connection, order, "refused", order.status, refusal.reason)
            return repository.update_leased(
                connection, order.id, lease, next_step=first, refusal=asdict(refusal), attempts=0
            )

    def _finish_cancelled(self, order: Order, refusal: Refusal, lease: UUID) -> Order:
        with self._database.transaction() as connection:
            cancelled = repository.update_leased(
                connection, order.id, lease, status=Status.CANCELLED, reason=refusal.reason, next_step=None
            )
            self._tell(connection, order, "cancelled", Status.CANCELLED, refusal.reason)
            if order.status is Status.PENDING:
                repository.store_answer(connection, order.id, render_refusal(cancelled, refusal))
        return cancelled

    def _tell(
        self, connection: Connection, order: Order, kind: str, status: Status, detail: str | None = None
    ) -> None:
        repository.insert_event(
            connection, order.id, kind, actor=ACTOR, from_status=order.status, to_status=status, detail=detail
        )
        log.info("Order %s: %s", kind, status, extra={"order.status": str(status)})

    def _reserve(self, order: Order) -> Changes:
        reservation = self._catalog.reserve(order)
        amount = sum(line.amount or 0 for line in reservation.lines)
        return {"lines": reservation.lines, "currency": reservation.currency, "items_amount": amount}

    def _authorize(self, order: Order) -> Changes:
        payment_id, status = self._payments.authorize(order)
        return {"payment_id": payment_id, "payment_status": status}

    def _commit(self, order: Order) -> Changes:
        self._catalog.commit(order.id)
        return {}

    def _capture(self, order: Order) -> Changes:
        return {"payment_status": self._payments.capture(order.id)}

    def _cancel_payment(self, order: Order) -> Changes:
        return {"payment_status": self._payments.cancel(order.id)}

    def _release(self, order: Order) -> Changes:
        self._catalog.release(order.id)
        return {}


TIMED_OUT = Refusal(
    "timed_out", 409, "checkout_timed_out", "The order could not be finished in time; nothing was charged."
)
STOCK_LOST = Refusal("stock_lost", 409, "stock_lost", "The stock was lost before it could be sold.")


def render_order(order: Order) -> Answer:
    """Return the answer of a successful checkout."""
    return Answer(201, "application/json", OrderOut.of(order).model_dump_json().encode())


def render_refusal(order: Order, refusal: Refusal) -> Answer:
    """Return the answer of a failed one; it carries the order's id."""
    extra = {**refusal.extra, "order_id": str(order.id)}
    body = errors.describe(refusal.status, refusal.code, refusal.detail, order.request_id, extra)
    return Answer(refusal.status, errors.CONTENT_TYPE, json.dumps(body).encode())
