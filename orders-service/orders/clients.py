"""Clients of the services that a checkout calls, and of the receivers of webhooks.

Every call of a checkout is idempotent and addressed by the order's id.
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from orders.domain import Line, Offer, Order, Payment, Refund
from orders.errors import CheckoutRefused, ReceiverUnreachable
from orders.totals import Item
from shared import __version__, outgoing
from shared.batches import OrderOutcome, OrderOutcomes
from shared.errors import ServiceUnreachable
from shared.http import HttpResponse
from shared.service_calls import ServiceClient

# The catalogue's refusals that a customer can act on, and the order's reason for each.
RESERVE_REFUSALS = {
    "out_of_stock": "out_of_stock",
    "product_unavailable": "product_unavailable",
    "variant_required": "variant_required",
}
# The refusals of payments-service that a customer can act on.
AUTHORIZE_REFUSALS = {"card_declined", "payment_method_unsupported"}
# The refusals that end an order; a retry would be refused again.
CAPTURE_REFUSALS = {"capture_failed", "payment_closed", "payment_unexpected_state"}
WEBHOOK_TIMEOUT = 15.0  # Seconds for a whole exchange.
LARGEST_ANSWER = 64 * 1024  # Bytes that are read of a receiver's answer.
# Link-local addresses, which include the metadata service of cloud providers, and Amazon's of IPv6.
NEVER_CALLED = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32")


@dataclass(frozen=True)
class Reservation:
    """The reserved lines with their prices, and the items that price the order."""

    lines: tuple[Line, ...]
    currency: str
    items: tuple[Item, ...]


class CatalogClient(ServiceClient):
    """catalog-service: prices and reservations."""

    def reserve(self, order: Order) -> Reservation:
        """Reserve the order's lines; raise CheckoutRefused if they are not available.

        The `lines` of a refusal have the numbers of what is sold as `product_id`.
        """
        response = self._put_reservation(order, [_describe(line) for line in order.lines])
        if _is_invalid(response) and any(line.must_be_only_variant for line in order.lines):
            # A replica of the release before variants refuses the member `only_variant`.
            response = self._put_reservation(order, [_name_quantity(line) for line in order.lines])
        if response.status_code == 409:
            problem = _read(response)
            code = problem.get("code", "")
            if code in RESERVE_REFUSALS:
                raise CheckoutRefused(RESERVE_REFUSALS[code], code, problem["detail"], lines=problem["lines"])
            raise CheckoutRefused("reservation_lost", "reservation_lost", "The stock could not be held.")
        answer = _expect(response, 200)
        parents = {line.product_id: line.parent_id for line in order.lines}
        lines = tuple(
            Line(
                item["product_id"],
                item["quantity"],
                item["sku"],
                item["title"],
                item["unit_amount"],
                _read_parent(item, parents.get(item["product_id"])),
            )
            for item in answer["items"]
        )
        return Reservation(lines, answer["currency"], tuple(map(_to_item, answer["items"], lines)))

    def _put_reservation(self, order: Order, items: list[dict[str, Any]]) -> HttpResponse:
        return self.request("PUT", _reservation(order.id), json={"customer": order.customer, "items": items})

    def commit_reservations(self, order_ids: Iterable[UUID]) -> dict[UUID, OrderOutcome]:
        """Commit the reservations of several orders; return the outcome for each order."""
        return _read_outcomes(self.request("POST", "/internal/reservations/commit", json=_batch(order_ids)))

    def release(self, order_id: UUID) -> None:
        """Release the order's units, and refuse a reservation that arrives later."""
        _expect(self.request("DELETE", _reservation(order_id)), 200)

    def read_offers(self, product_ids: Iterable[int]) -> tuple[dict[int, Offer], str]:
        """Return the offers of these variants by number, and the shop's currency."""
        ids = ",".join(str(number) for number in product_ids)
        answer = _expect(self.request("GET", "/internal/prices", params={"ids": ids}), 200)
        offers = {
            item["product_id"]: Offer(
                item["product_id"],
                item["title"],
                item["unit_amount"],
                item["stock"],
                _read_parent(item),
                item.get("tax_class"),
                item.get("weight_grams"),
                item.get("category") or "",
                # A replica of the release before does not send it; the order tells.
                item.get("is_only_variant", True),
            )
            for item in answer["data"]
        }
        return offers, answer["currency"]


class AccountsClient(ServiceClient):
    """auth-service: the verified addresses of accounts."""

    def find_verified_email(self, customer: str) -> str | None:
        """Return the verified address of a customer; None without one."""
        try:
            user_id = UUID(customer)
        except ValueError:
            return None
        response = self.request("GET", f"/internal/users/{user_id}/email")
        email: str | None = _expect(response, 200)["email"]
        return email

    def find_guests(self, customers: Iterable[str]) -> frozenset[str]:
        """Return those of the customers that have no account."""
        body = {"users": sorted(customers)}
        return frozenset(_expect(self.request("POST", "/internal/users/guests", json=body), 200)["guests"])


class PaymentsClient(ServiceClient):
    """payments-service: one payment per order."""

    def authorize(self, order: Order) -> Payment:
        """Authorize the order's amount, or start an authentication; raise CheckoutRefused for a decline."""
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
            if _read(response).get("code") == "payment_conflict":
                # An earlier call authorized another amount, and the shop's rules have changed since.
                raise CheckoutRefused("amount_changed", "amount_changed", "The total has changed.")
            raise CheckoutRefused("payment_closed", "payment_closed", "The payment was closed.")
        return _to_payment(_expect(response, 200))

    def read(self, order_id: UUID) -> Payment:
        """Return the order's payment."""
        return _to_payment(_expect(self.request("GET", _payment(order_id)), 200))

    def capture_payments(self, order_ids: Iterable[UUID]) -> dict[UUID, OrderOutcome]:
        """Capture the payments of several orders; return the outcome for each order."""
        return _read_outcomes(self.request("POST", "/internal/payments/capture", json=_batch(order_ids)))

    def reassign(self, order_ids: Iterable[UUID], customer: str) -> None:
        """Assign the payments of several orders to this customer, on whose behalf the call is made."""
        body = {**_batch(order_ids), "customer": customer}
        _expect(self.request("POST", "/internal/payments/reassign", json=body), 200)

    def cancel(self, order_id: UUID) -> Payment:
        """Void or refund the payment, and refuse an authorization that arrives later."""
        return _to_payment(_expect(self.request("POST", f"{_payment(order_id)}/cancel"), 200))

    def refund(self, refund: Refund) -> None:
        """Refund a part of the payment; raise CheckoutRefused if less than that can be refunded."""
        body = {"refund_id": str(refund.id), "amount": refund.amount}
        response = self.request("POST", f"{_payment(refund.order_id)}/refunds", json=body)
        if response.status_code == 409:
            problem = _read(response)
            raise CheckoutRefused("refund_failed", problem["code"], problem["detail"])
        _expect(response, 200)


class WebhookClient:
    """The receivers of webhooks, at URLs that admins choose.

    Unless `allows_private`, only public addresses are called. Link-local addresses never are.
    """

    def __init__(
        self,
        *,
        allows_private: bool,
        requires_https: bool,
        resolve: outgoing.Resolve = socket.getaddrinfo,
    ) -> None:
        self._allows_private = allows_private
        self._requires_https = requires_https and not allows_private
        self._resolve = resolve

    def find_objection(self, url: str) -> str | None:
        """Return why messages cannot be sent to this URL, as far as that can be known now."""
        try:
            outgoing.check_url(url, allowed=self._list_allowed(url), resolve=self._find_addresses)
        except outgoing.AddressRefused as error:
            return self._explain(error)
        if self._requires_https and not url.startswith("https:"):
            return "must begin with https://, because messages contain personal data"
        return None

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> outgoing.Answer:
        """Send a message; raise ReceiverUnreachable if there is no complete answer."""
        sent = {"Content-Type": "application/json", "User-Agent": f"Shopfleet/{__version__}", **headers}
        try:
            return outgoing.send(
                "POST",
                url,
                body=body,
                headers=sent,
                seconds=WEBHOOK_TIMEOUT,
                most_bytes=LARGEST_ANSWER,
                cuts=True,
                allowed=self._list_allowed(url),
                resolve=self._find_addresses,
            )
        except outgoing.AddressRefused as error:
            raise ReceiverUnreachable(self._explain(error)) from error
        except outgoing.SendingFailed as error:
            raise ReceiverUnreachable(str(error)) from error

    def _list_allowed(self, url: str) -> list[outgoing.Origin]:
        if not self._allows_private:
            return []
        try:
            return [outgoing.origin_of(url)]
        except (ValueError, KeyError):
            return []  # It is refused as malformed.

    def _find_addresses(self, *asked: Any, **options: Any) -> list[Any]:
        found = self._resolve(*asked, **options)
        return [entry for entry in found if not outgoing.is_within(entry[4][0], NEVER_CALLED)]

    def _explain(self, error: outgoing.AddressRefused) -> str:
        if not isinstance(error, outgoing.PrivateAddress):
            return str(error)
        if self._allows_private:
            return "The host has only link-local addresses, which are never called."
        return "The host has no public address. WEBHOOK_PRIVATE=yes allows private addresses."


def _reservation(order_id: UUID) -> str:
    return f"/internal/reservations/{order_id}"


def _describe(line: Line) -> dict[str, Any]:
    return _name_quantity(line) | ({"only_variant": True} if line.must_be_only_variant else {})


def _is_invalid(response: HttpResponse) -> bool:
    return response.status_code == 422 and _read(response).get("code") == "validation_failed"


def _name_quantity(line: Line) -> dict[str, Any]:
    return {"product_id": line.product_id, "quantity": line.quantity}


def _read_parent(item: dict[str, Any], known: int | None = None) -> int:
    """Return the number of a variant's product; a replica of the release before variants does not send it."""
    number: int = item.get("parent_id") or known or item["product_id"]
    return number


def _to_item(item: dict[str, Any], line: Line) -> Item:
    """Return what prices a line; a replica of the release before does not send all of it."""
    return Item(
        line.product_id,
        line.parent_id or line.product_id,
        line.quantity,
        item["unit_amount"],
        item.get("tax_class"),
        item.get("weight_grams"),
        item.get("category") or "",
    )


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
        # A request that payments-service does not accept, such as an amount above the provider's limit.
        return CheckoutRefused("payment_declined", "payment_refused", "The order cannot be paid this way.")
    kept = {name: problem[name] for name in ("decline_code",) if name in problem}
    return CheckoutRefused("payment_declined", code, problem["detail"], **kept)


def _to_payment(body: dict[str, Any]) -> Payment:
    known = body.get("id")
    return Payment(UUID(known) if known else None, body["status"], body.get("amount_refunded", 0))


def _expect(response: HttpResponse, status: int) -> dict[str, Any]:
    """Return the body; raise ServiceUnreachable for any other status, so that the call is retried."""
    if response.status_code != status:
        raise ServiceUnreachable(f"The service answered with the unexpected status {response.status_code}.")
    return _read(response)


def _read(response: HttpResponse) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError as error:
        raise ServiceUnreachable from error
    if not isinstance(body, dict):
        raise ServiceUnreachable
    return body
