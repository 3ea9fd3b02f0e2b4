"""Idempotent calls, identified by their Idempotency-Key.

The header and the errors follow draft-ietf-httpapi-idempotency-key-header. A retry gets the first call's
response, as with Stripe's API. Each service decides which calls need a key, and stores the keys itself.
"""

import hashlib
from dataclasses import dataclass

from flask import Response, request

from shared.context import require_caller
from shared.errors import Problem

HEADER = "Idempotency-Key"
LONGEST_KEY = 255

# The extension of an operation that carries a key.
KEYED = {
    "parameters": [
        {
            "in": "header",
            "name": HEADER,
            "required": True,
            "description": "Identifies this call. A retry sends the same key and gets the same response, "
            "with `Idempotent-Replayed: true`. Keys are kept for at least 24 hours.",
            "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
            "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
        }
    ]
}


class IdempotencyKeyMissing(Problem):
    """The call moves money, so it needs a key."""

    status = 400
    code = "idempotency_key_missing"
    detail = f"Send an {HEADER} header of 1 to {LONGEST_KEY} characters; send the same key when you retry."


class IdempotencyInProgress(Problem):
    """The first call with this key has not finished yet."""

    status = 409
    code = "idempotency_in_progress"
    detail = f"A call with this {HEADER} is still in progress; try again in a moment."
    headers = {"Retry-After": "1"}


class IdempotencyKeyReused(Problem):
    """The key was used with a different body."""

    status = 422
    code = "idempotency_key_reused"
    detail = f"This {HEADER} was already used with a different body."


# The errors of an operation that requires a key.
KEY_ERRORS = (IdempotencyKeyMissing, IdempotencyInProgress, IdempotencyKeyReused)


@dataclass(frozen=True)
class KeyedCall:
    """A caller, a route, the SHA-256 of the key, and the SHA-256 of the body as its fingerprint."""

    principal: str
    route: str
    key: str
    fingerprint: str


@dataclass(frozen=True)
class Answer:
    """A stored response, for retries."""

    status: int
    content_type: str
    body: bytes


def read_call(route: str) -> KeyedCall:
    """Return the current call with its key; raise IdempotencyKeyMissing."""
    key = request.headers.get(HEADER, "")
    if not 1 <= len(key) <= LONGEST_KEY:
        raise IdempotencyKeyMissing
    # A caller may put sensitive data into a key, so only its hash is stored.
    return KeyedCall(require_caller().sub, route, _hash(key.encode()), _hash(request.get_data()))


def to_response(answer: Answer, *, is_replayed: bool) -> Response:
    """Return the stored answer, byte for byte."""
    response = Response(answer.body, answer.status, content_type=answer.content_type)
    if is_replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
