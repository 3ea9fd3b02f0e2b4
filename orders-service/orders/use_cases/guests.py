"""Transfer a guest's orders and idempotency keys to the account that the guest signs in to.

The account's token names the guest whose token was sent at sign-in. `carts` merges the cart.
"""

import logging

from orders.clients import PaymentsClient
from orders.repository import idempotency_keys, orders
from shared.batches import MOST_ORDERS
from shared.context import Caller
from shared.database import Database
from shared.errors import Unavailable

log = logging.getLogger(__name__)


def take_over_guest(database: Database, payments: PaymentsClient, caller: Caller) -> None:
    """Assign the orders that the caller placed as a guest to the caller.

    payments-service changes the customer first. While it is unavailable the orders remain the guest's, the
    caller still sees them, and the next call retries. A pending order follows once its payment is known.
    """
    guest = caller.guest
    if guest is None:
        return
    with database.transaction() as connection:
        idempotency_keys.copy_idempotency_keys(connection, guest, caller.sub)
        ids = orders.find_placed_orders(connection, guest, limit=MOST_ORDERS)
    while ids:
        try:
            payments.reassign(ids, caller.sub)
        except Unavailable as away:
            log.warning("Guest orders cannot be transferred yet: %s", away)
            return
        with database.transaction() as connection:
            taken = orders.reassign_orders(connection, ids, caller.sub)
            log.info("Guest orders transferred", extra={"orders.taken": taken})
            ids = orders.find_placed_orders(connection, guest, limit=MOST_ORDERS)
