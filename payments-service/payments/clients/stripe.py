"""Stripe, through its official library.

A payment is one PaymentIntent with manual capture. The provider creates the intent, which moves no money, and
stores its id before it confirms the intent. After a lost response the intent shows what has happened. The
create and refund requests carry idempotency keys made of our ids. The other requests need none, because an
intent is confirmed, captured and canceled at most once
(https://docs.stripe.com/payments/paymentintents/lifecycle).
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import requests
import stripe

from payments.clients import TIMEOUT, SaveReference
from payments.domain.payments import (
    CANCELED,
    PROCESSING,
    REQUIRES_CAPTURE,
    REQUIRES_PAYMENT_METHOD,
    SUCCEEDED,
    Change,
    Charge,
    Outcome,
    Payment,
    PaymentStatus,
    Refund,
)
from payments.errors import UNSUPPORTED, CaptureFailed, ProviderUnavailable, RefundFailed

log = logging.getLogger(__name__)

LIST_TIMEOUT = 60.0  # Seconds for a list, which only background tasks read.
# Covers the difference between Stripe's clock and ours, and the delay of events.
CLOCK_TOLERANCE = timedelta(minutes=2)
CHANGES = [
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
]
UNKNOWN = "generic_decline"  # Stripe's code for a decline without a reason.
# Stripe's statuses that have a different name here.
STATUSES = {"requires_confirmation": PROCESSING}
REFUSALS = (stripe.CardError, stripe.InvalidRequestError)


class StripeProvider:
    """Stripe's PaymentIntents and Refunds."""

    name = "stripe"

    def __init__(self, secret_key: str, api_base: str, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._session = _Session()
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base.rstrip("/")},
            http_client=stripe.RequestsClient(session=self._session),
            # Our callers retry; a retry here would only block a thread.
            max_network_retries=0,
        ).v1
        # At the level INFO the library logs every request, and every error with Stripe's message.
        logging.getLogger("stripe").setLevel(logging.WARNING)

    def accepts(self, payment_method: str) -> bool:  # noqa: ARG002  # As in Provider.
        """Return True: Stripe checks the payment method itself."""
        return True

    def authorize(self, payment: Payment, save_reference: SaveReference) -> Charge:
        """Confirm the payment's intent, after creating it if necessary."""
        with self._requests():
            reference = payment.provider_reference
            try:
                if reference is None:
                    reference = save_reference(self._create_intent(payment))
                intent = self._client.payment_intents.confirm(reference, {"expand": ["latest_charge"]})
                return _read_charge(intent.to_dict())
            except REFUSALS as error:
                if reference is None:
                    return _refuse(error)
                # The intent was declined now or confirmed earlier; its status shows which.
                found = self._retrieve(reference)
                return _refuse(error) if found["status"] == "requires_confirmation" else _read_charge(found)

    def confirm(self, payment: Payment, outcome: Outcome) -> Charge:  # noqa: ARG002  # As in Provider.
        """Read the customer's answer, which the bank has reported to Stripe."""
        with self._requests():
            return _read_charge(self._retrieve(_reference(payment)))

    def capture(self, payment: Payment) -> Charge:
        """Capture the intent."""
        reference = _reference(payment)
        with self._requests():
            try:
                intent = self._client.payment_intents.capture(reference, {"expand": ["latest_charge"]})
                return _read_charge(intent.to_dict())
            except REFUSALS as error:
                charge = _read_charge(self._retrieve(reference))
                if charge.status is REQUIRES_CAPTURE:
                    raise CaptureFailed(_code_of(error)) from error
                return charge

    def capture_batch(self, payments: Iterable[Payment]) -> Mapping[UUID, Charge]:  # noqa: ARG002  # Stripe captures one by one.
        """Capture none: Stripe has no request for several intents."""
        return {}

    def release(self, payment: Payment) -> Charge:
        """Cancel the intent, or refund the rest of the captured money."""
        reference = payment.provider_reference
        if reference is None:
            # An intent is confirmed only after its id was stored.
            return Charge(CANCELED)
        with self._requests():
            charge = _read_charge(self._retrieve(reference))
            if charge.is_released:
                return charge
            if charge.status is not SUCCEEDED:
                intent = self._client.payment_intents.cancel(reference, {"expand": ["latest_charge"]})
                return _read_charge(intent.to_dict())
            left = charge.amount_captured - charge.amount_refunded
            self._client.refunds.create(
                {"payment_intent": reference, "amount": left, "metadata": _metadata(payment)},
                {"idempotency_key": f"{payment.id}-cancel-{left}"},
            )
            return _read_charge(self._retrieve(reference))

    def refund(self, payment: Payment, refund: Refund) -> None:
        """Create the refund, unless the intent already has it."""
        reference = _reference(payment)
        with self._requests():
            # Stripe forgets an idempotency key after a day, but never the refund.
            existing = self._client.refunds.list({"payment_intent": reference, "limit": 100}).to_dict()[
                "data"
            ]
            created = [
                each for each in existing if (each["metadata"] or {}).get("refund_id") == str(refund.id)
            ]
            if not created:
                metadata = {**_metadata(payment), "refund_id": str(refund.id)}
                try:
                    response = self._client.refunds.create(
                        {"payment_intent": reference, "amount": refund.amount, "metadata": metadata},
                        {"idempotency_key": f"{refund.id}-refund"},
                    )
                except REFUSALS as error:
                    raise RefundFailed(_code_of(error)) from error
                created = [response.to_dict()]
            # A pending refund is on its way to the bank.
            if created[0]["status"] in {"failed", "canceled"}:
                raise RefundFailed(created[0].get("failure_reason") or created[0]["status"])

    def find(self, payment: Payment) -> Charge | None:
        """Retrieve the intent."""
        if payment.provider_reference is None:
            return None
        with self._requests():
            return _read_charge(self._retrieve(payment.provider_reference))

    def read_changes(self, since: datetime, until: datetime) -> Iterator[Change]:
        """Return the intents in Stripe's list of events, in their state at the time of the event."""
        first = int((since - CLOCK_TOLERANCE).timestamp())
        end = int((until + CLOCK_TOLERANCE).timestamp())
        with self._requests(LIST_TIMEOUT):
            page = self._client.events.list(
                {"created": {"gte": first, "lt": end}, "types": CHANGES, "limit": 100}
            )
            for event in page.auto_paging_iter():
                intent = event.to_dict()["data"]["object"]
                yield Change(intent["id"], _payment_id(intent), _read_charge(intent))

    def _create_intent(self, payment: Payment) -> str:
        intent = self._client.payment_intents.create(
            {
                "amount": payment.amount,
                "currency": payment.currency.lower(),
                "payment_method": payment.payment_method,
                "allowed_payment_method_types": ["card"],
                "capture_method": "manual",
                "metadata": _metadata(payment),
            },
            {"idempotency_key": f"{payment.id}-create"},
        )
        return str(intent.to_dict()["id"])

    def _retrieve(self, reference: str) -> dict[str, Any]:
        intent = self._client.payment_intents.retrieve(reference, {"expand": ["latest_charge"]})
        return intent.to_dict()

    @contextmanager
    def _requests(self, timeout: float | None = None) -> Iterator[None]:
        """Limit the total time of the requests in a block, and translate their errors."""
        self._session.limit_time(timeout or self._timeout)
        try:
            yield
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            log.error("Stripe does not accept STRIPE_SECRET_KEY: %s", error.http_status)
            raise ProviderUnavailable from error
        except stripe.StripeError as error:
            raise ProviderUnavailable from error
        except (KeyError, TypeError, ValueError) as error:
            # A response that is not Stripe's, such as a proxy's error page.
            raise ProviderUnavailable from error


class _Session(requests.Session):
    """A session with one deadline for all requests of a thread."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self._thread = threading.local()

    def limit_time(self, seconds: float) -> None:
        """Set the deadline for this thread's requests."""
        self._thread.deadline = time.monotonic() + seconds

    def request(self, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request, with the remaining time as its timeout."""
        left = self._thread.deadline - time.monotonic()
        if left <= 0:
            raise requests.Timeout("The deadline has passed.")
        return super().request(*arguments, **{**options, "timeout": left, "allow_redirects": False})


def _read_charge(intent: Mapping[str, Any]) -> Charge:
    """Return the charge of an intent (https://docs.stripe.com/api/payment_intents/object)."""
    status = STATUSES.get(intent["status"]) or PaymentStatus(intent["status"])
    charge = intent.get("latest_charge")
    error = intent.get("last_payment_error") or {}
    is_declined = status is REQUIRES_PAYMENT_METHOD
    action = intent.get("next_action") if status is PaymentStatus.REQUIRES_ACTION else None
    return Charge(
        status,
        amount_captured=intent.get("amount_received", intent["amount"]) if status is SUCCEEDED else 0,
        # An event contains only the id of the charge.
        amount_refunded=charge["amount_refunded"] if isinstance(charge, dict) and status is SUCCEEDED else 0,
        decline_code=(error.get("decline_code") or error.get("code") or UNKNOWN) if is_declined else None,
        # The customer's browser needs the client secret to authenticate at the bank.
        next_action={**action, "client_secret": intent["client_secret"]} if action else None,
    )


def _refuse(error: stripe.StripeError) -> Charge:
    """Return the charge of a request that Stripe refuses permanently."""
    log.warning("Stripe refused a payment: %s", _code_of(error))
    is_method = getattr(error, "param", None) == "payment_method" or error.http_status == 404
    return Charge(REQUIRES_PAYMENT_METHOD, decline_code=UNSUPPORTED if is_method else _code_of(error))


def _code_of(error: stripe.StripeError) -> str:
    decline_code = getattr(error.error, "decline_code", None) if error.error else None
    return str(decline_code or error.code or "invalid_request")


def _metadata(payment: Payment) -> dict[str, str]:
    return {"payment_id": str(payment.id), "order_id": str(payment.order_id)}


def _payment_id(intent: Mapping[str, Any]) -> UUID | None:
    try:
        return UUID((intent.get("metadata") or {})["payment_id"])
    except (KeyError, ValueError):
        return None


def _reference(payment: Payment) -> str:
    if payment.provider_reference is None:
        raise ProviderUnavailable
    return payment.provider_reference
