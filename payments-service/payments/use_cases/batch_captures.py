"""Captures for many orders: in one call where the provider supports it, otherwise in parallel calls."""

import contextvars
import logging
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from uuid import UUID

from payments.clients import Provider
from payments.domain.payments import REQUIRES_CAPTURE, SUCCEEDED, Charge, Payment
from payments.errors import ProviderUnavailable
from payments.repository import batch_captures
from payments.use_cases.order_payments import capture_payment
from shared import context
from shared.database import Database
from shared.errors import Problem

log = logging.getLogger(__name__)

THREADS = 8  # Parallel captures of this process.
# Seconds until an order is reported as pending; orders-service waits a little longer for the response.
DEADLINE = 1.5


class BatchCaptures:
    """Captures the payments of many orders, with a thread pool for the ones that need a call each."""

    def __init__(self, database: Database, provider: Provider) -> None:
        self._database = database
        self._provider = provider
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="capture")

    def capture_payments(self, order_ids: Iterable[UUID]) -> dict[UUID, Problem | None]:
        """Capture the payment of each order; return the problem of each order, None if it is captured.

        The problems are those of `capture_payment`. An order that exceeds DEADLINE gets ProviderUnavailable,
        while its capture continues. A slow order does not delay the others.
        """
        wanted = list(dict.fromkeys(order_ids))
        with self._database.autocommit() as connection:
            found = batch_captures.read_payments_of_orders(connection, wanted)
        done = {order_id for order_id in wanted if _is_captured(found.get(order_id))}
        ready = [each for each in found.values() if isinstance(each, Payment) and self._is_ready(each)]
        done |= self._capture_batch(ready)
        context.bind({"orders.captured": len(done)})
        return {**dict.fromkeys(wanted), **self._capture_each([each for each in wanted if each not in done])}

    def _is_ready(self, payment: Payment) -> bool:
        is_open = payment.status is REQUIRES_CAPTURE and not payment.is_closing
        return is_open and payment.provider == self._provider.name

    def _capture_batch(self, ready: list[Payment]) -> set[UUID]:
        """Capture payments by one call; return the orders whose captures were saved."""
        try:
            charges = self._provider.capture_batch(ready) if ready else {}
        except Problem as problem:
            log.warning("The provider cannot capture the batch: %s", problem.code)
            return set()
        whole = [each for each in ready if each.id in charges and _is_whole(each, charges[each.id])]
        if not whole:
            return set()
        with self._database.autocommit() as connection:
            saved = batch_captures.save_captures(connection, whole)
        return {each.order_id for each in whole if each.id in saved}

    def _capture_each(self, order_ids: list[UUID]) -> dict[UUID, Problem | None]:
        begun: dict[UUID, Future[Problem | None]] = {
            order_id: self._threads.submit(contextvars.copy_context().run, self._capture, order_id)
            for order_id in order_ids
        }
        _done, late = wait(begun.values(), timeout=DEADLINE)
        for future in late:
            # This cancels only captures that have not begun; the caller retries them.
            future.cancel()
        return {
            order_id: ProviderUnavailable() if future in late else future.result()
            for order_id, future in begun.items()
        }

    def _capture(self, order_id: UUID) -> Problem | None:
        try:
            capture_payment(self._database, self._provider, order_id)
        except Problem as problem:
            return problem
        except Exception:
            log.exception("A capture failed", extra={"order.id": str(order_id)})
            return Problem()
        return None


def _is_captured(found: object) -> bool:
    return isinstance(found, Payment) and found.status is SUCCEEDED and not found.is_closing


def _is_whole(payment: Payment, charge: Charge) -> bool:
    """Return whether the whole amount was captured and nothing was refunded."""
    return charge == Charge(SUCCEEDED, amount_captured=payment.amount)
