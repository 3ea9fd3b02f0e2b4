"""What the mails of orders-service say."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orders.addresses import format_address
from orders.domain import Order
from orders.repository.snapshots import read_event, read_order
from orders.webhooks import DISABLED
from shared.outbox import Message

TEMPLATES = Path(__file__).parent / "mails"
# What a customer reads about a cancellation, by the order's reason.
EXPLANATIONS = {
    "cancelled_by_customer": "you cancelled it",
    "cancelled_by_admin": "the shop cancelled it",
    "stock_lost": "the items sold out before we could complete it",
    "capture_failed": "your payment could not be completed",
}


@dataclass(frozen=True)
class TotalRow:
    """A row below the lines of an order."""

    label: str
    amount: int
    is_total: bool = False


def describe_mail(message: Message) -> Mapping[str, Any]:
    """Return the values of the templates of a mail."""
    if message.kind == DISABLED:
        return {**message.data, "since": datetime.fromisoformat(message.data["since"])}
    return describe_order_mail(message)


def describe_order_mail(message: Message) -> Mapping[str, Any]:
    """Return the values of the templates of a mail: the order as of its event."""
    order = read_order(message.data)
    event = read_event(message.data)
    return {
        "order": order,
        "totals": list_totals(order),
        "shipping_lines": format_address(order.shipping_address),
        "shipping_title": _find_shipping_title(order),
        "explanation": EXPLANATIONS.get(order.reason or ""),
        # "1999 USD", as `steps.refund_payment` writes it.
        "refund": int((event.detail or "0").split()[0]) if event.kind == "refunded" else None,
    }


def list_totals(order: Order) -> list[TotalRow]:
    """Return the rows of the totals, as the storefront shows them."""
    added = [each for each in order.adjustments if not each.included]
    rows = [TotalRow("Items", order.items_amount or 0)] if added else []
    rows += [
        TotalRow(f"Discount {each.title}" if each.kind == "discount" else each.title, each.amount)
        for each in added
    ]
    rows.append(TotalRow("Total", order.amount or 0, is_total=True))
    included = [each for each in order.adjustments if each.included]
    return rows + [TotalRow(f"Includes {each.title}", each.amount) for each in included]


def _find_shipping_title(order: Order) -> str | None:
    return next((each.title for each in order.adjustments if each.kind == "shipping"), None)
