"""What an account takes over from the guest who logs in to it: orders, and answers under the guest's keys.

The token of a log-in names the guest whose token came with it. `carts` takes over the cart.
"""

import logging

from orders.clients import PaymentsClient
from orders.repository import keys, orders
from shared.batches import MOST_ORDERS
from shared.context import Caller
from shared.database import Database
from shared.errors import Unavailable

log = logging.getLogger(__name__)


def take_over_guest(database: Database, payments: PaymentsClient, caller: Caller) -> None:
    """Make the orders of the guest that the caller was the caller's own, for good.

    payments-service changes its customer first. While it is away the orders stay the guest's, the caller sees
    them all the same, and the next call tries again. A pending order follows once its payment is there.
    """
    guest = caller.guest
    if guest is None:
        return
    with database.transaction() as connection:
        keys.copy_keys(connection, guest, caller.sub)
        ids = orders.find_placed_orders(connection, guest, limit=MOST_ORDERS)
    while ids:
        try:
            payments.reassign(ids, caller.sub)
        except Unavailable as away:
            log.warning("A guest's orders are not taken over yet: %s", away)
            return
        with database.transaction() as connection:
            taken = orders.reassign_orders(connection, ids, caller.sub)
            log.info("A guest's orders were taken over", extra={"orders.taken": taken})
            ids = orders.find_placed_orders(connection, guest, limit=MOST_ORDERS)
