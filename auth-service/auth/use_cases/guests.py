"""Delete idle guests; any number of replicas may do this at the same time."""

import logging

from auth.clients import MOST_ASKED, OrdersClient
from auth.repository import sweep
from shared.database import Database
from shared.errors import Unavailable

EVERY = 3600.0  # Seconds.

log = logging.getLogger(__name__)


def delete_idle_guests(database: Database, orders: OrdersClient, *, batch: int = MOST_ASKED) -> None:
    """Delete the guests without activity for a day whom orders-service does not know.

    If orders-service does not respond, the guests stay until they expire.
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
            log.info(
                "Idle guests are kept, because orders-service did not report which it knows: %s", error.detail
            )
            return
        with database.transaction() as connection:
            sweep.delete_idle_guests(connection, [guest for guest in idle if str(guest) not in known])
        last = idle[-1]
