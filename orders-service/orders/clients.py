"""The services that a checkout calls. Every call is idempotent and addressed by the order's id."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import requests

from orders.domain import Line, Offer, Order
from orders.errors import CheckoutRefused
from shared.errors import ServiceUnreachable
from shared.service_calls import ServiceClient

# The catalogue's refusals that a customer can act on, with the order's reason for each.
RESERVE_REFUSALS = {"out_of_stock": "out_of_stock", "product_unavailable": "product_unavailable"}


@dataclass(frozen=True)
class Reservation:
    """The held lines, priced."""

    lines: tuple[Line, ...]
    currency: str


class CatalogClient(ServiceClient):
    """catalog-service: prices, and stock held for orders."""

    def reserve(self, order: Order) -> Reservation:
        """Hold the order's lines; raise CheckoutRefused if they cannot be had."""
        items = [{"product_id": line.product_id, "quantity": line.quantity} for line in order.lines]
        response = self.request(
            "PUT", _reservation(order.id), json={"customer": order.customer, "items": items}
        )
        if response.status_code == 409:
            problem = _read(response)
            code = problem.get("code", "")
            if code in RESERVE_REFUSALS:
                raise CheckoutRefused(
                    RESERVE_REFUSALS[code], 409, code, problem["detail"], lines=problem["lines"]
                )
            raise CheckoutRefused("reservation_lost", 409, "reservation_lost", "The stock could not be held.")
        answer = _expect(response, 200)
        lines = tuple(
            Line(item["product_id"], item["quantity"], item["sku"], item["title"], item["unit_amount"])
            for item in answer["items"]
        )
        return Reservation(lines, answer["currency"])

    def commit(self, order_id: UUID) -> None:
        """Turn the held units into sold ones; raise CheckoutRefused if the hold has lapsed."""
        response = self.request("POST", f"{_reservation(order_id)}/commit")
        if response.status_code == 410:
            raise CheckoutRefused("stock_lost", 409, "stock_lost", "The hold on the stock has lapsed.")
        _expect(response, 200)

    def release(self, order_id: UUID) -> None:
        """Give the order's units back, or close the door to a reservation that is still on its way."""
        _expect(self.request("DELETE", _reservation(order_id)), 200)

    def read_offers(self, product_ids: Iterable[int]) -> tuple[dict[int, Offer], str]:
        """Return what is known of these products, and the shop's currency."""
        ids = ",".join(str(number) for number in product_ids)
        answer = _expect(self.request("GET", "/internal/prices", params={"ids": ids}), 200)
        offers = {
            item["product_id"]: Offer(item["product_id"], item["title"], item["unit_amount"], item["stock"])
            for item in answer["data"]
        }
        return offers, answer["currency"]


class PaymentsClient(ServiceClient):
    """payments-service: one payment for each order."""

    def authorize(self, order: Order) -> tuple[UUID, str]:
        """Authorize the order's amount; return the payment's id and status, or raise CheckoutRefused."""
        body = {
            "customer": order.customer,
            "amount": order.items_amount,
            "currency": order.currency,
            "payment_method": order.payment_method,
        }
        response = self.request("PUT", _payment(order.id), json=body)
        if response.status_code in {402, 422}:
            problem = _read(response)
            kept = {name: problem[name] for name in ("decline_code",) if name in problem}
            raise CheckoutRefused(
                "payment_declined", 402, problem.get("code", "card_declined"), problem["detail"], **kept
            )
        answer = _expect(response, 200)
        return UUID(answer["id"]), answer["status"]

    def capture(self, order_id: UUID) -> str:
        """Take the authorized money; return the payment's status."""
        return str(_expect(self.request("POST", f"{_payment(order_id)}/capture"), 200)["status"])

    def cancel(self, order_id: UUID) -> str:
        """Void the payment, or refund it, or close the door to one that is still on its way."""
        return str(_expect(self.request("POST", f"{_payment(order_id)}/cancel"), 200)["status"])


def _reservation(order_id: UUID) -> str:
    return f"/internal/reservations/{order_id}"


def _payment(order_id: UUID) -> str:
    return f"/internal/payments/{order_id}"


def _expect(response: requests.Response, status: int) -> dict[str, Any]:
    """Return the answer's body; whatever was not expected is a service that cannot do its work just now."""
    if response.status_code != status:
        raise ServiceUnreachable(f"An unexpected answer: {response.status_code}.")
    return _read(response)


def _read(response: requests.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError as error:
        raise ServiceUnreachable from error
    if not isinstance(body, dict):
        raise ServiceUnreachable
    return body
