"""Calls that are made once however often they are sent, told apart by their Idempotency-Key.

The header and the errors are those of draft-ietf-httpapi-idempotency-key-header; a call that is repeated gets
the first one's answer, as with Stripe's API. Which calls those are, and where their keys are kept, is each
service's own.
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
            "description": "Stands for this one call: a retry sends the same key and gets the same answer, "
            "with `Idempotent-Replayed: true`. A key is kept for 24 hours at least.",
            "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
            "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
        }
    ]
}


class IdempotencyKeyMissing(Problem):
    """A call that moves money must say which call it is."""

    status = 400
    code = "idempotency_key_missing"
    detail = f"Send an {HEADER} header of 1 to {LONGEST_KEY} characters; a retry sends the same one."


class IdempotencyInProgress(Problem):
    """The first call with this key has not been answered yet."""

    status = 409
    code = "idempotency_in_progress"
    detail = f"A call with this {HEADER} is being worked on; try again in a moment."
    headers = {"Retry-After": "1"}


class IdempotencyKeyReused(Problem):
    """The key was used for another body."""

    status = 422
    code = "idempotency_key_reused"
    detail = f"This {HEADER} was used with another body."


# What such an operation may answer for its key's sake.
KEY_ERRORS = (IdempotencyKeyMissing, IdempotencyInProgress, IdempotencyKeyReused)


@dataclass(frozen=True)
class KeyedCall:
    """Who calls which route, with the SHA-256 of the key and, as the fingerprint, of the body."""

    principal: str
    route: str
    key: str
    fingerprint: str


@dataclass(frozen=True)
class Answer:
    """The bytes that a caller was given, to be given again."""

    status: int
    content_type: str
    body: bytes


def read_call(route: str) -> KeyedCall:
    """Return the call at hand with its key; raise IdempotencyKeyMissing."""
    key = request.headers.get(HEADER, "")
    if not 1 <= len(key) <= LONGEST_KEY:
        raise IdempotencyKeyMissing
    # What a caller takes for a key is not known, so it is not kept as it is.
    return KeyedCall(require_caller().sub, route, _hash(key.encode()), _hash(request.get_data()))


def to_response(answer: Answer, *, is_replayed: bool) -> Response:
    """Return the answer, byte for byte as it is kept."""
    response = Response(answer.body, answer.status, content_type=answer.content_type)
    if is_replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
