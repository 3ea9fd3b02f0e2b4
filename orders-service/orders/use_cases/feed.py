"""Read the feed of changed orders, which programs poll."""

from datetime import datetime

from orders.clients import PaymentsClient
from orders.domain import FeedPosition, Order
from orders.repository import feed
from orders.schemas.orders import OrderQuery
from orders.use_cases.guests import take_over_guest
from orders.use_cases.orders import sees_all
from shared.context import Caller
from shared.database import Database
from shared.errors import ValidationFailed

# An order that leaves the filter would be a change that the feed does not show.
FILTERS = ("q", "status", "user", "since", "until")


def read_changes(
    database: Database,
    payments: PaymentsClient,
    caller: Caller,
    query: OrderQuery,
    *,
    since: datetime,
    after: FeedPosition | None,
) -> tuple[list[Order], FeedPosition]:
    """Return a page of the changed orders that the caller may see, and the position behind it.

    Raises ValidationFailed for a filter, and CursorExpired.
    """
    detail = "cannot be combined with updated_since, which shows every change"
    filters = [name for name in FILTERS if getattr(query, name) is not None]
    if filters:
        raise ValidationFailed([{"location": "query", "field": name, "detail": detail} for name in filters])
    take_over_guest(database, payments, caller)
    customers = None if sees_all(caller) else caller.subjects
    with database.snapshot() as connection:
        return feed.read_page(connection, customers=customers, since=since, after=after, limit=query.limit)
