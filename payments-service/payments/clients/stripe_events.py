"""The events that Stripe sends, each signed (https://docs.stripe.com/webhooks/signature)."""

import json
import re
from collections.abc import Sequence
from typing import Any

import stripe

from payments.clients import Notice
from payments.errors import BadNotice

IDS = re.compile(r"[A-Za-z0-9_]{1,255}")
TOLERANCE = 300  # Seconds that a signature is good for.


class StripeEvents:
    """Reads events, and believes those that were signed with one of the secrets.

    There are several while a secret is being replaced by another.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets

    def read(self, body: bytes, signature: str) -> Notice:
        """Return what an event is about; raise BadNotice unless Stripe signed it a moment ago."""
        if not any(_is_signed(body, signature, secret) for secret in self._secrets):
            raise BadNotice
        try:
            event = json.loads(body)
            event_id, reference = event["id"], _reference_in(event["data"]["object"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadNotice from error
        if not isinstance(event_id, str) or not IDS.fullmatch(event_id):
            raise BadNotice
        return Notice(event_id, reference)


def _is_signed(body: bytes, signature: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE)
    except (stripe.SignatureVerificationError, ValueError, TypeError):
        # Bytes that are no text, and characters that no signature has, are not signed either.
        return False
    return True


def _reference_in(thing: dict[str, Any]) -> str | None:
    """Return the intent: the thing itself, or the one that a charge or a refund belongs to."""
    reference = thing.get("id" if thing.get("object") == "payment_intent" else "payment_intent")
    return reference if isinstance(reference, str) and IDS.fullmatch(reference) else None
