"""Captures for many orders at once: together where the provider can, else one by one and side by side."""

import contextvars
import logging
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from uuid import UUID

from payments.clients import Provider
from payments.domain import REQUIRES_CAPTURE, SUCCEEDED, Charge, Payment
from payments.errors import ProviderUnavailable
from payments.repository import payments
from payments.use_cases.checkout import capture_payment
from shared import context
from shared.database import Database
from shared.errors import Problem

log = logging.getLogger(__name__)

AT_ONCE = 8  # Captures of this process that wait for the provider.
# Seconds after which an order is to be asked for again; orders-service waits a little longer for its answer.
DEADLINE = 1.5


class Settlement:
    """Takes the money of many orders, with threads of its own for those that take one call each."""

    def __init__(self, database: Database, provider: Provider) -> None:
        self._database = database
        self._provider = provider
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="capture")

    def capture_payments(self, order_ids: Iterable[UUID]) -> dict[UUID, Problem | None]:
        """Take each order's money, once; return each order's problem, None if its money is ours.

        A problem is one of `capture_payment`. An order that takes longer than DEADLINE has
        ProviderUnavailable; what was begun for it goes on. None holds another one up.
        """
        wanted = list(dict.fromkeys(order_ids))
        with self._database.autocommit() as connection:
            found = payments.read_payments_of_orders(connection, wanted)
        done = {order_id for order_id in wanted if _is_captured(found.get(order_id))}
        ready = [each for each in found.values() if isinstance(each, Payment) and self._is_ready(each)]
        done |= self._capture_together(ready)
        context.bind({"orders.captured": len(done)})
        return {**dict.fromkeys(wanted), **self._capture_each([each for each in wanted if each not in done])}

    def _is_ready(self, payment: Payment) -> bool:
        is_open = payment.status is REQUIRES_CAPTURE and not payment.is_closing
        return is_open and payment.provider == self._provider.name

    def _capture_together(self, ready: list[Payment]) -> set[UUID]:
        """Return the orders whose money was taken and booked; whatever else there is, is left for each."""
        try:
            charges = self._provider.capture_together(ready) if ready else {}
        except Problem as problem:
            log.warning("The payments cannot be captured together: %s", problem.code)
            return set()
        whole = [each for each in ready if each.id in charges and _is_whole(each, charges[each.id])]
        if not whole:
            return set()
        with self._database.autocommit() as connection:
            saved = payments.save_captures(connection, whole)
        return {each.order_id for each in whole if each.id in saved}

    def _capture_each(self, order_ids: list[UUID]) -> dict[UUID, Problem | None]:
        begun: dict[UUID, Future[Problem | None]] = {
            order_id: self._threads.submit(contextvars.copy_context().run, self._capture, order_id)
            for order_id in order_ids
        }
        _done, late = wait(begun.values(), timeout=DEADLINE)
        for future in late:
            # One that has no thread yet is not begun any more: it will be asked for again.
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
    """Tell whether the charge is the payment's whole amount, taken and kept."""
    return charge == Charge(SUCCEEDED, amount_captured=payment.amount)
