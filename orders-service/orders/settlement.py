"""Settlement: what follows an order's confirmation, for many orders at once.

Confirmed orders are claimed together. One call commits their stock, another captures their money, and one
statement records what has become of each. An order that cannot be settled holds no other one up: it is asked
for again later, or the checkout goes on with it. A batch of one is what a quiet shop does.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from uuid import UUID

from orders.checkout import ACTOR
from orders.clients import CAPTURE_REFUSALS, CatalogClient, PaymentsClient
from orders.domain import CONTINUED, Progress, Refusal, Status, Step, Told, wait_after
from orders.repository import progress
from orders.repository.progress import Unsettled
from shared import context, traces
from shared.batches import OrderOutcome, Outcome
from shared.context import Context
from shared.database import Database
from shared.errors import Unavailable

log = logging.getLogger(__name__)

MOST = 50  # Orders of one batch.
# Seconds between two batches. An order of a quiet shop is settled at once; those that are confirmed
# meanwhile become one batch, which costs hardly more than one order.
PACE = 0.2
CAPTURE_FAILED = Refusal("capture_failed", 409, "capture_failed", "The money could not be taken.")
Outcomes = Mapping[UUID, OrderOutcome]


class Settlement:
    """Commits and captures what was confirmed.

    `wake_resumers` lets the checkout go on with what failed; `pause` waits for some seconds, or until the
    service ends.
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
        """Settle the orders that are due, in batches, also those that another replica confirmed."""
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
            # All that is done is done for the one request.
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
        return _ask(self._catalog.commit_reservations, batch)

    def _capture(self, batch: list[Unsettled]) -> Outcomes:
        return _ask(self._payments.capture_payments, batch)

    def _record(self, steps: list[Progress], lease: UUID) -> None:
        with self._database.autocommit() as connection:
            ours = progress.record_progress(connection, steps, lease, actor=ACTOR, now=datetime.now(UTC))
        if len(ours) < len(steps):
            log.warning("Others have taken %d orders over", len(steps) - len(ours))
        paid = [str(step.order_id) for step in steps if step.next_step is None and step.order_id in ours]
        log.info("Orders settled", extra={"orders.claimed": len(steps), "orders.paid": ",".join(paid)})
        if any(step.next_step in CONTINUED for step in steps):
            self._wake_resumers()


def _ask(call: Callable[[Iterable[UUID]], Outcomes], batch: list[Unsettled]) -> Outcomes:
    """Return the outcomes; without an answer, or with one that says nothing of an order, there is none."""
    try:
        return call([order.order_id for order in batch]) if batch else {}
    except Unavailable as away:
        log.warning("%d orders cannot be settled: %s", len(batch), away)
        return {}


def _is_due(order: Unsettled, committed: Outcomes) -> bool:
    is_sold = order.next_step is Step.CAPTURE or _find_outcome(order, committed) is Outcome.DONE
    return is_sold and order.needs_payment


def _find_outcome(order: Unsettled, outcomes: Outcomes) -> Outcome:
    found = outcomes.get(order.order_id)
    return found.outcome if found else Outcome.PENDING


def _conclude(order: Unsettled, committed: Outcomes, captured: Outcomes) -> Progress:
    """Return what has become of an order."""
    story: tuple[Told, ...] = ()
    if order.next_step is Step.COMMIT:
        match _find_outcome(order, committed):
            case Outcome.REFUSED:
                # The hold lapsed. Reserving again and asking for the same payment again lead back to here.
                return Progress(order.order_id, (Told("reservation_lapsed"),), Step.RESERVE)
            case Outcome.PENDING:
                return _ask_again(order, Step.COMMIT, order.attempts)
        story = (Told("stock_committed"),)
    if not order.needs_payment:
        return Progress(
            order.order_id, (*story, Told("payment_not_needed")), None, changes={"status": Status.PAID}
        )
    match _find_outcome(order, captured):
        case Outcome.DONE:
            paid = {"status": Status.PAID, "payment_status": "succeeded"}
            return Progress(order.order_id, (*story, Told("payment_captured")), None, changes=paid)
        case Outcome.REFUSED if captured[order.order_id].code in CAPTURE_REFUSALS:
            refused = (*story, Told("refused", CAPTURE_FAILED.reason))
            return Progress(order.order_id, refused, Step.CANCEL_PAYMENT, changes={"refusal": CAPTURE_FAILED})
    return _ask_again(order, Step.CAPTURE, 0 if story else order.attempts, story)


def _ask_again(order: Unsettled, step: Step, attempts: int, story: tuple[Told, ...] = ()) -> Progress:
    return Progress(order.order_id, story, step, wait=wait_after(attempts), attempts=attempts + 1)
