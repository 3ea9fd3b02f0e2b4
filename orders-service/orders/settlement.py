"""Settlement: commit the stock and capture the payments of confirmed orders, in batches.

A thread claims the due orders together. One call commits their stock, another captures their payments, and
one statement records all outcomes. An order that cannot be settled does not delay the others: settlement
retries it later, or the checkout continues it. In a quiet shop most batches have one order.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from uuid import UUID

from orders.clients import CAPTURE_REFUSALS, CatalogClient, PaymentsClient
from orders.domain import CONTINUED, NewEvent, Progress, Refusal, Status, Step, wait_after
from orders.repository import progress
from orders.repository.progress import Unsettled
from shared import context, traces
from shared.batches import OrderOutcome, Outcome
from shared.context import Context
from shared.database import Database
from shared.errors import Unavailable

log = logging.getLogger(__name__)

MOST = 50  # Orders per batch.
# Seconds between two batches. In a quiet shop an order is settled at once. Orders that are confirmed during
# the pause become one batch, which costs hardly more than one order.
PACE = 0.2
CAPTURE_FAILED = Refusal("capture_failed", "capture_failed", "The payment could not be captured.")
Outcomes = Mapping[UUID, OrderOutcome]


class Settlement:
    """Settles confirmed orders.

    `wake_resumers` makes the checkout continue refused orders; `pause` waits for some seconds, or until the
    service stops.
    """

    def __init__(
        self,
        database: Database,
        catalog: CatalogClient,
        payments: PaymentsClient,
        *,
        wake_resumers: Callable[[], None],
        pause: Callable[[float], object],
        most: int = MOST,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._payments = payments
        self._wake_resumers = wake_resumers
        self._pause = pause
        self._most = most

    def settle_due_orders(self) -> None:
        """Settle the due orders in batches, including those that another replica confirmed."""
        while True:
            with self._database.autocommit() as connection:
                batch, lease = progress.claim_unsettled_orders(connection, self._most)
            if not batch:
                return
            self._settle(batch, lease)
            if len(batch) < self._most:
                self._pause(PACE)

    def _settle(self, batch: list[Unsettled], lease: UUID) -> None:
        works = [context.continue_from(order.request_id, order.traceparent) for order in batch]
        if len(batch) == 1:
            # All work in this batch belongs to one request.
            context.enter(works[0])
            context.bind({"order.id": str(batch[0].order_id)})
        else:
            context.enter(Context())
        try:
            with traces.resumed_work("settle orders", links=[work.trace for work in works]):
                committed = self._commit([order for order in batch if order.next_step is Step.COMMIT])
                captured = self._capture([order for order in batch if _is_due(order, committed)])
                steps = [_conclude(order, committed, captured) for order in batch]
                self._record(steps, lease)
        finally:
            context.leave()

    def _commit(self, batch: list[Unsettled]) -> Outcomes:
        return _call(self._catalog.commit_reservations, batch)

    def _capture(self, batch: list[Unsettled]) -> Outcomes:
        return _call(self._payments.capture_payments, batch)

    def _record(self, steps: list[Progress], lease: UUID) -> None:
        with self._database.autocommit() as connection:
            ours = progress.record_progress(connection, steps, lease, now=datetime.now(UTC))
        if len(ours) < len(steps):
            log.warning("Other threads have taken over %d orders", len(steps) - len(ours))
        paid = [str(step.order_id) for step in steps if step.next_step is None and step.order_id in ours]
        log.info("Orders settled", extra={"orders.claimed": len(steps), "orders.paid": ",".join(paid)})
        if any(step.next_step in CONTINUED for step in steps):
            self._wake_resumers()


def _call(call: Callable[[Iterable[UUID]], Outcomes], batch: list[Unsettled]) -> Outcomes:
    """Return the outcomes by order; none if the service is unavailable."""
    try:
        return call([order.order_id for order in batch]) if batch else {}
    except Unavailable as away:
        log.warning("%d orders cannot be settled now: %s", len(batch), away)
        return {}


def _is_due(order: Unsettled, committed: Outcomes) -> bool:
    is_sold = order.next_step is Step.CAPTURE or _find_outcome(order, committed) is Outcome.DONE
    return is_sold and order.needs_payment


def _find_outcome(order: Unsettled, outcomes: Outcomes) -> Outcome:
    found = outcomes.get(order.order_id)
    return found.outcome if found else Outcome.PENDING


def _conclude(order: Unsettled, committed: Outcomes, captured: Outcomes) -> Progress:
    """Return the progress of an order."""
    events: tuple[NewEvent, ...] = ()
    if order.next_step is Step.COMMIT:
        match _find_outcome(order, committed):
            case Outcome.REFUSED:
                # The reservation lapsed. Reserving again and authorizing the same payment lead back to here.
                return Progress(order.order_id, (NewEvent("reservation_lapsed"),), Step.RESERVE)
            case Outcome.PENDING:
                return _retry(order, Step.COMMIT, order.attempts)
        events = (NewEvent("stock_committed"),)
    if not order.needs_payment:
        return Progress(
            order.order_id, (*events, NewEvent("payment_not_needed")), None, changes={"status": Status.PAID}
        )
    match _find_outcome(order, captured):
        case Outcome.DONE:
            paid = {"status": Status.PAID, "payment_status": "succeeded"}
            return Progress(order.order_id, (*events, NewEvent("payment_captured")), None, changes=paid)
        case Outcome.REFUSED if captured[order.order_id].code in CAPTURE_REFUSALS:
            refused = (*events, NewEvent("refused", CAPTURE_FAILED.reason))
            return Progress(order.order_id, refused, Step.CANCEL_PAYMENT, changes={"refusal": CAPTURE_FAILED})
    return _retry(order, Step.CAPTURE, 0 if events else order.attempts, events)


def _retry(order: Unsettled, step: Step, attempts: int, events: tuple[NewEvent, ...] = ()) -> Progress:
    return Progress(order.order_id, events, step, wait=wait_after(attempts), attempts=attempts + 1)
