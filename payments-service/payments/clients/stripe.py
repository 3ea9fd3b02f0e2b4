"""Stripe, by its official library.

A payment is one PaymentIntent, captured by hand. It is created first, which moves no money, and its id is
kept before it is confirmed: from then on the intent itself says what was done to it, however often it is
asked. Creating and refunding carry idempotency keys made of our ids; the other calls need none, since an
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

from payments.clients import PATIENCE, Remember
from payments.domain import (
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

LISTING_PATIENCE = 60.0  # Seconds for a list, which no request waits for.
# By how much Stripe's clock may be ahead of ours or behind, and its events later than what they are about.
CLOCKS_DIFFER = timedelta(minutes=2)
CHANGES = [
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
]
UNKNOWN = "generic_decline"  # Stripe's own word for a bank that gave no reason.
# Stripe's states that are others here.
STATUSES = {"requires_confirmation": PROCESSING}
REFUSALS = (stripe.CardError, stripe.InvalidRequestError)


class StripeProvider:
    """Stripe's PaymentIntents and Refunds."""

    name = "stripe"

    def __init__(self, secret_key: str, api_base: str, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._session = _Session()
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base.rstrip("/")},
            http_client=stripe.RequestsClient(session=self._session),
            # Whoever asked us asks again, and a retry in here would only keep a thread waiting.
            max_network_retries=0,
        ).v1
        # It tells each request and each error at the level INFO, with Stripe's own words.
        logging.getLogger("stripe").setLevel(logging.WARNING)

    def accepts(self, payment_method: str) -> bool:  # noqa: ARG002
        """Leave it to Stripe, which answers when it is asked."""
        return True

    def authorize(self, payment: Payment, remember: Remember) -> Charge:
        """Confirm the payment's intent, which is created if it has none."""
        with self._asking():
            reference = payment.provider_reference
            try:
                if reference is None:
                    reference = remember(self._create_intent(payment))
                intent = self._client.payment_intents.confirm(reference, {"expand": ["latest_charge"]})
                return _read_charge(intent.to_dict())
            except REFUSALS as error:
                if reference is None:
                    return _refuse(error)
                # Declined, or confirmed before: the intent knows.
                found = self._retrieve(reference)
                return _refuse(error) if found["status"] == "requires_confirmation" else _read_charge(found)

    def confirm(self, payment: Payment, outcome: Outcome) -> Charge:  # noqa: ARG002
        """Find out what the customer told the bank, which asked by itself."""
        with self._asking():
            return _read_charge(self._retrieve(_reference(payment)))

    def capture(self, payment: Payment) -> Charge:
        """Capture the intent."""
        reference = _reference(payment)
        with self._asking():
            try:
                intent = self._client.payment_intents.capture(reference, {"expand": ["latest_charge"]})
                return _read_charge(intent.to_dict())
            except REFUSALS as error:
                charge = _read_charge(self._retrieve(reference))
                if charge.status is REQUIRES_CAPTURE:
                    raise CaptureFailed(_code_of(error)) from error
                return charge

    def capture_together(self, payments: Iterable[Payment]) -> Mapping[UUID, Charge]:  # noqa: ARG002
        """Take none: Stripe has no call for several intents."""
        return {}

    def release(self, payment: Payment) -> Charge:
        """Cancel the intent, or refund what is left of what it took."""
        reference = payment.provider_reference
        if reference is None:
            # Without its id kept, no intent is ever confirmed.
            return Charge(CANCELED)
        with self._asking():
            charge = _read_charge(self._retrieve(reference))
            if charge.is_given_back:
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
        """Create the refund, unless the intent has it."""
        reference = _reference(payment)
        with self._asking():
            # Stripe remembers an idempotency key for a day, and the refund itself for good.
            known = self._client.refunds.list({"payment_intent": reference, "limit": 100}).to_dict()["data"]
            made = [each for each in known if (each["metadata"] or {}).get("refund_id") == str(refund.id)]
            if not made:
                metadata = {**_metadata(payment), "refund_id": str(refund.id)}
                try:
                    created = self._client.refunds.create(
                        {"payment_intent": reference, "amount": refund.amount, "metadata": metadata},
                        {"idempotency_key": f"{refund.id}-refund"},
                    )
                except REFUSALS as error:
                    raise RefundFailed(_code_of(error)) from error
                made = [created.to_dict()]
            # A pending one is on its way to the bank.
            if made[0]["status"] in {"failed", "canceled"}:
                raise RefundFailed(made[0].get("failure_reason") or made[0]["status"])

    def find(self, payment: Payment) -> Charge | None:
        """Retrieve the intent."""
        if payment.provider_reference is None:
            return None
        with self._asking():
            return _read_charge(self._retrieve(payment.provider_reference))

    def read_changes(self, since: datetime, until: datetime) -> Iterator[Change]:
        """Return the intents of Stripe's own list of events, each as it stood then."""
        first = int((since - CLOCKS_DIFFER).timestamp())
        end = int((until + CLOCKS_DIFFER).timestamp())
        with self._asking(LISTING_PATIENCE):
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
    def _asking(self, patience: float | None = None) -> Iterator[None]:
        """Bound the time of all calls in a block together, and tell what Stripe's silence means."""
        self._session.give_up_after(patience or self._patience)
        try:
            yield
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            log.error("Stripe does not accept STRIPE_SECRET_KEY: %s", error.http_status)
            raise ProviderUnavailable from error
        except stripe.StripeError as error:
            raise ProviderUnavailable from error
        except (KeyError, TypeError, ValueError) as error:
            # An answer in another shape than Stripe's, from somebody in between.
            raise ProviderUnavailable from error


class _Session(requests.Session):
    """A session whose calls in a thread end together, however many they are."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self._thread = threading.local()

    def give_up_after(self, seconds: float) -> None:
        """Let the calls of this thread take so long from now on, all in all."""
        self._thread.end = time.monotonic() + seconds

    def request(self, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request, with the time that is left for it."""
        left = self._thread.end - time.monotonic()
        if left <= 0:
            raise requests.Timeout("There is no time left to ask.")
        return super().request(*arguments, **{**options, "timeout": left, "allow_redirects": False})


def _read_charge(intent: Mapping[str, Any]) -> Charge:
    """Return what an intent says (https://docs.stripe.com/api/payment_intents/object)."""
    status = STATUSES.get(intent["status"]) or PaymentStatus(intent["status"])
    charge = intent.get("latest_charge")
    error = intent.get("last_payment_error") or {}
    is_declined = status is REQUIRES_PAYMENT_METHOD
    action = intent.get("next_action") if status is PaymentStatus.REQUIRES_ACTION else None
    return Charge(
        status,
        amount_captured=intent.get("amount_received", intent["amount"]) if status is SUCCEEDED else 0,
        # An event names the charge by its id alone.
        amount_refunded=charge["amount_refunded"] if isinstance(charge, dict) and status is SUCCEEDED else 0,
        decline_code=(error.get("decline_code") or error.get("code") or UNKNOWN) if is_declined else None,
        # By its secret the customer's browser goes on with the bank's questions.
        next_action={**action, "client_secret": intent["client_secret"]} if action else None,
    )


def _refuse(error: stripe.StripeError) -> Charge:
    """Return the charge of a request that Stripe finds wrong, and would every time."""
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
