"""The feed of changed orders, which is read from their events and passes over no change.

Transactions do not commit in the order in which they write, so an event may become visible after later ones.
Therefore the feed reads events in the order of their transactions, up to the oldest one that is still open.
The first pages read the past: all visible events, in the order of time. An event that was not visible then is
of a transaction that was open at the first page or began later, and the feed goes on with those.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, Uuid, cast, literal, select, text, tuple_

from orders.domain import FeedPosition, Order
from orders.errors import CursorExpired
from orders.repository.orders import find_orders
from orders.tables import TransactionId, order_events, orders
from shared.ids import first_id

Change = tuple[UUID, FeedPosition]  # The id of a changed order, and the position behind the change.

EVENTS_PER_ORDER = 10  # A page reads this many events for each order that it can have.
# The id of an event is made a moment before its time, and its time is cut to milliseconds.
MARGIN = timedelta(milliseconds=1)
FIRST = UUID(int=0)  # Before all events of a transaction.
CHANGED = (order_events.c.order_id, order_events.c.id, order_events.c.transaction_id)
# All transactions below the horizon have ended. A restored dump and a promoted standby begin a new history:
# the one has another server or table, the other has a new timeline.
READ_STATE = text("""
    SELECT CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS horizon,
        concat_ws('-', system_identifier, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),
                  CAST(CAST('order_events' AS regclass) AS oid)) AS history
    FROM pg_control_system()
""")


def read_page(
    connection: Connection,
    *,
    customers: Sequence[str] | None,
    since: datetime,
    after: FeedPosition | None,
    limit: int,
) -> tuple[list[Order], FeedPosition]:
    """Return changed orders, each once and by its last change on the page, and the position behind them.

    `since` counts for the first page, which has no `after`. A page without orders is at the end of the feed.
    `customers` None means all customers. All statements must see the same snapshot. Raises CursorExpired.
    """
    state = connection.execute(READ_STATE).one()
    horizon, most = int(state.horizon), limit * EVENTS_PER_ORDER
    start = after or FeedPosition(state.history, horizon, first_id(since, -MARGIN), reads_past=True)
    # The ids of a history only grow, unless the server's files were replaced by older ones.
    if start.history != state.history or start.transaction > horizon:
        raise CursorExpired
    changes: list[Change] = []
    if start.reads_past:
        changes += _read_past(connection, customers, start, most)
        if len(changes) < most:
            start = replace(start, event=FIRST, reads_past=False)
    if not start.reads_past:
        changes += _read_ended(connection, customers, start, horizon, most - len(changes))
    kept = _limit_orders(changes, limit)
    is_end = len(kept) == len(changes) < most
    end = replace(start, transaction=horizon, event=FIRST) if is_end else kept[-1][1]
    # Of several changes of an order, the last one determines its place.
    ids = list(dict.fromkeys(order_id for order_id, _position in reversed(kept)))[::-1]
    return find_orders(connection, ids) if ids else [], end


def _read_past(
    connection: Connection, customers: Sequence[str] | None, start: FeedPosition, most: int
) -> Iterable[Change]:
    """Yield the changes that are visible, in the order of time."""
    events = select(*CHANGED).where(order_events.c.id > start.event)
    for row in connection.execute(_limit_events(events, customers, ("id",), most)):
        yield row.order_id, replace(start, event=row.id)


def _read_ended(
    connection: Connection, customers: Sequence[str] | None, start: FeedPosition, horizon: int, most: int
) -> Iterable[Change]:
    """Yield the changes of the transactions below the horizon, in their order."""
    place = tuple_(order_events.c.transaction_id, order_events.c.id)
    events = select(*CHANGED).where(
        order_events.c.transaction_id < _to_xid(horizon),
        place > tuple_(_to_xid(start.transaction), literal(start.event, Uuid)),
    )
    for row in connection.execute(_limit_events(events, customers, ("transaction_id", "id"), most)):
        yield row.order_id, replace(start, transaction=int(row.transaction_id), event=row.id)


def _limit_events(
    events: Select[Any], customers: Sequence[str] | None, order: Sequence[str], most: int
) -> Select[Any]:
    if customers is None:
        return events.order_by(*(order_events.c[name] for name in order)).limit(most)
    # All of the customer's events are found first. In order, PostgreSQL may read those of all customers.
    own = events.join(orders, orders.c.id == order_events.c.order_id).where(orders.c.customer.in_(customers))
    found = own.cte("own").prefix_with("MATERIALIZED")
    return select(found).order_by(*(found.c[name] for name in order)).limit(most)


def _to_xid(transaction: int) -> ColumnElement[Any]:
    return cast(str(transaction), TransactionId)


def _limit_orders(changes: list[Change], limit: int) -> list[Change]:
    """Return the first changes, those of at most `limit` orders."""
    ids: set[UUID] = set()
    for place, (order_id, _position) in enumerate(changes):
        if order_id not in ids and len(ids) == limit:
            return changes[:place]
        ids.add(order_id)
    return changes
