"""What the mails of orders-service say."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orders.addresses import format_address
from orders.domain import Event, Order
from orders.repository.snapshots import read_event, read_order
from orders.totals import Adjustment
from orders.webhooks import DISABLED
from shared.outbox import Message

LOOKUP = "order_lookup"
ERASED = "…"  # The token of a mail that was sent.
TEMPLATES = Path(__file__).parent / "mails"
# What a customer reads about a cancellation, by the order's reason.
EXPLANATIONS = {
    "cancelled_by_customer": "You cancelled it.",
    "cancelled_by_admin": "The shop cancelled it.",
    "stock_lost": "We are sorry: the items sold out before we could complete it.",
    "capture_failed": "We could not take the payment.",
}


@dataclass(frozen=True)
class TotalRow:
    """A row below the lines of an order; `kind` is `added`, `total` or `included`."""

    kind: str
    label: str
    amount: int
    is_free: bool = False


def describe_mail(message: Message, *, public_url: str) -> Mapping[str, Any]:
    """Return the values of the templates of a mail."""
    if message.kind == DISABLED:
        return {**message.data, "since": datetime.fromisoformat(message.data["since"])}
    if message.kind == LOOKUP:
        # The token is in the fragment, which no server receives.
        link = f"{public_url.rstrip('/')}/#/order-link?token={message.secret or ERASED}"
        return {"number": message.data["number"], "link": link}
    return describe_order(read_order(message.data), read_event(message.data))


def describe_order(order: Order, event: Event) -> Mapping[str, Any]:
    """Return the values of the templates of a mail about this event of an order."""
    return {
        "order": order,
        # Orders of a release without numbers have none.
        "order_name": f"order {order.number}" if order.number else "order",
        "totals": list_totals(order),
        "shipping_lines": format_address(order.shipping_address),
        "shipping_title": _find_shipping_title(order),
        "billing_lines": format_address(order.billing_address) if order.billing_address else None,
        "explanation": EXPLANATIONS.get(order.reason or ""),
        # "1999 USD", as `steps.refund_payment` writes it.
        "refund": int((event.detail or "0").split()[0]) if event.kind == "refunded" else None,
    }


def list_totals(order: Order) -> list[TotalRow]:
    """Return the rows of the totals, as the storefront shows them."""
    added = [each for each in order.adjustments if not each.included]
    rows = [TotalRow("added", "Items", order.items_amount or 0)] if added else []
    rows += [_make_row(each) for each in added]
    rows.append(TotalRow("total", "Total", order.amount or 0))
    included = [each for each in order.adjustments if each.included]
    return rows + [TotalRow("included", f"Includes {each.title}", each.amount) for each in included]


def _make_row(added: Adjustment) -> TotalRow:
    label = f"Discount {added.title}" if added.kind == "discount" else added.title
    return TotalRow("added", label, added.amount, is_free=added.kind == "shipping" and added.amount == 0)


def _find_shipping_title(order: Order) -> str | None:
    return next((each.title for each in order.adjustments if each.kind == "shipping"), None)
