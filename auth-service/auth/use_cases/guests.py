"""Forget guests who left nothing behind; any number of replicas may do so at once."""

import logging

from auth.clients import MOST_ASKED, OrdersClient
from auth.repository import sweep
from shared.database import Database
from shared.errors import Unavailable

EVERY = 3600.0  # Seconds.

log = logging.getLogger(__name__)


def forget_guests(database: Database, orders: OrdersClient, *, batch: int = MOST_ASKED) -> None:
    """Remove the guests who have not been here for a day, and of whom orders-service knows nothing.

    Without an answer the guests stay, until they are over.
    """
    last = None
    while True:
        with database.transaction() as connection:
            idle = sweep.read_idle_guests(connection, last, batch)
        if not idle:
            return
        try:
            known = orders.find_known([str(guest) for guest in idle])
        except Unavailable as error:
            log.info("Guests are kept, because orders-service does not say which it knows: %s", error.detail)
            return
        with database.transaction() as connection:
            sweep.delete_idle_guests(connection, [guest for guest in idle if str(guest) not in known])
        last = idle[-1]
