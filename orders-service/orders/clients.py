"""The services that a checkout calls. Every call is idempotent and addressed by the order's id."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from orders.domain import Line, Offer, Order, Payment, Refund
from orders.errors import CheckoutRefused
from shared.batches import OrderOutcome, OrderOutcomes
from shared.errors import ServiceUnreachable
from shared.http import HttpResponse
from shared.service_calls import ServiceClient

# The catalogue's refusals that a customer can act on, with the order's reason for each.
RESERVE_REFUSALS = {"out_of_stock": "out_of_stock", "product_unavailable": "product_unavailable"}
# Those of payments-service that a customer can act on.
AUTHORIZE_REFUSALS = {"card_declined", "payment_method_unsupported"}
# Those that end an order; asked again, it would say the same.
CAPTURE_REFUSALS = {"capture_failed", "payment_closed", "payment_unexpected_state"}


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

    def commit_reservations(self, order_ids: Iterable[UUID]) -> dict[UUID, OrderOutcome]:
        """Turn the held units of several orders into sold ones; return what the answer says of each."""
        return _read_outcomes(self.request("POST", "/internal/reservations/commit", json=_batch(order_ids)))

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

    def authorize(self, order: Order) -> Payment:
        """Hold the order's amount, or begin to ask the customer; raise CheckoutRefused for a decline."""
        body = {
            "customer": order.customer,
            "amount": order.amount,
            "currency": order.currency,
            "payment_method": order.payment_method,
        }
        response = self.request("PUT", _payment(order.id), json=body)
        if response.status_code in {402, 422}:
            raise _read_decline(_read(response))
        if response.status_code == 409:
            raise CheckoutRefused("payment_closed", 409, "payment_closed", "The payment was closed.")
        return _to_payment(_expect(response, 200))

    def read(self, order_id: UUID) -> Payment:
        """Return the order's payment as it stands."""
        return _to_payment(_expect(self.request("GET", _payment(order_id)), 200))

    def capture_payments(self, order_ids: Iterable[UUID]) -> dict[UUID, OrderOutcome]:
        """Take the authorized money of several orders; return what the answer says of each."""
        return _read_outcomes(self.request("POST", "/internal/payments/capture", json=_batch(order_ids)))

    def reassign(self, order_ids: Iterable[UUID], customer: str) -> None:
        """Make the payments of several orders this customer's, for whom the call is made."""
        body = {**_batch(order_ids), "customer": customer}
        _expect(self.request("POST", "/internal/payments/reassign", json=body), 200)

    def cancel(self, order_id: UUID) -> Payment:
        """Void the payment, or refund it, or close the door to one that is still on its way."""
        return _to_payment(_expect(self.request("POST", f"{_payment(order_id)}/cancel"), 200))

    def refund(self, refund: Refund) -> None:
        """Give a part of the money back; raise CheckoutRefused if payments knows better what is left."""
        body = {"refund_id": str(refund.id), "amount": refund.amount}
        response = self.request("POST", f"{_payment(refund.order_id)}/refunds", json=body)
        if response.status_code == 409:
            problem = _read(response)
            raise CheckoutRefused("refund_failed", 409, problem["code"], problem["detail"])
        _expect(response, 200)


def _reservation(order_id: UUID) -> str:
    return f"/internal/reservations/{order_id}"


def _payment(order_id: UUID) -> str:
    return f"/internal/payments/{order_id}"


def _batch(order_ids: Iterable[UUID]) -> dict[str, list[str]]:
    return {"orders": [str(order_id) for order_id in order_ids]}


def _read_outcomes(response: HttpResponse) -> dict[UUID, OrderOutcome]:
    body = _expect(response, 200)
    try:
        return {outcome.order_id: outcome for outcome in OrderOutcomes.model_validate(body).orders}
    except ValueError as error:
        raise ServiceUnreachable from error


def _read_decline(problem: dict[str, Any]) -> CheckoutRefused:
    code = problem.get("code", "")
    if code not in AUTHORIZE_REFUSALS:
        # What payments-service does not take at all, as an amount beyond what the provider takes at once.
        return CheckoutRefused(
            "payment_declined", 402, "payment_refused", "The order cannot be paid this way."
        )
    kept = {name: problem[name] for name in ("decline_code",) if name in problem}
    return CheckoutRefused("payment_declined", 402, code, problem["detail"], **kept)


def _to_payment(body: dict[str, Any]) -> Payment:
    known = body.get("id")
    return Payment(UUID(known) if known else None, body["status"], body.get("amount_refunded", 0))


def _expect(response: HttpResponse, status: int) -> dict[str, Any]:
    """Return the answer's body; whatever was not expected is a service that cannot do its work just now."""
    if response.status_code != status:
        raise ServiceUnreachable(f"An unexpected answer: {response.status_code}.")
    return _read(response)


def _read(response: HttpResponse) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError as error:
        raise ServiceUnreachable from error
    if not isinstance(body, dict):
        raise ServiceUnreachable
    return body
