"""Stripe's signed events (https://docs.stripe.com/webhooks/signature)."""

import json
import re
from collections.abc import Sequence
from typing import Any

import stripe

from payments.clients import Notice
from payments.errors import BadNotice

IDS = re.compile(r"[A-Za-z0-9_]{1,255}")
TOLERANCE = 300  # Seconds that a signature is valid.


class StripeEvents:
    """Reads events that were signed with one of the secrets; there are two during a rotation."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets

    def read(self, body: bytes, signature: str) -> Notice:
        """Return the notice in an event; raise BadNotice unless Stripe signed it recently."""
        if not any(_is_signed(body, signature, secret) for secret in self._secrets):
            raise BadNotice
        try:
            event = json.loads(body)
            event_id, reference = event["id"], _read_reference(event["data"]["object"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadNotice from error
        if not isinstance(event_id, str) or not IDS.fullmatch(event_id):
            raise BadNotice
        return Notice(event_id, reference)


def _is_signed(body: bytes, signature: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE)
    except (stripe.SignatureVerificationError, ValueError, TypeError):
        # The body is not text, or the signature contains invalid characters.
        return False
    return True


def _read_reference(payload: dict[str, Any]) -> str | None:
    """Return the id of the intent: the object itself, or the intent of a charge or refund."""
    reference = payload.get("id" if payload.get("object") == "payment_intent" else "payment_intent")
    return reference if isinstance(reference, str) and IDS.fullmatch(reference) else None
