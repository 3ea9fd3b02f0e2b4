"""Orders as of an event, as the trigger `tell_of_order` records them."""

from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Uuid

from orders.domain import Event, Line, Order
from orders.repository.orders import to_order
from orders.tables import order_lines, orders

LINE = [column.name for column in order_lines.c if column.name != "order_id"]


def read_order(data: Mapping[str, Any]) -> Order:
    """Return the order of a snapshot; members that only a newer release knows are ignored."""
    row = {column.name: _read(column.type, data["order"].get(column.name)) for column in orders.c}
    lines = [Line(**{name: each[name] for name in LINE if name in each}) for each in data["lines"] or ()]
    return to_order(SimpleNamespace(**row, _mapping=row), tuple(lines))


def read_event(data: Mapping[str, Any]) -> Event:
    """Return the event of a snapshot."""
    event = data["event"]
    names = ("kind", "from_status", "to_status", "actor", "detail")
    return Event(
        id=UUID(event["id"]),
        time=datetime.fromisoformat(event["time"]),
        **{name: event[name] for name in names},
    )


def _read(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, Uuid):
        return UUID(value)
    return datetime.fromisoformat(value) if isinstance(kind, DateTime) else value
