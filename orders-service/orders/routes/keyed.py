"""Calls that carry an Idempotency-Key, and their answers."""

import hashlib

from flask import Response, request

from orders.domain import KeyedCall
from orders.errors import IdempotencyKeyMissing
from orders.use_cases.replies import Reply
from shared.context import require_caller

LONGEST_KEY = 255


def read_call(route: str) -> KeyedCall:
    """Return the call at hand with its key; raise IdempotencyKeyMissing."""
    key = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= LONGEST_KEY:
        raise IdempotencyKeyMissing
    # What a caller takes for a key is not known, so it is not kept as it is.
    return KeyedCall(require_caller().sub, route, _hash(key.encode()), _hash(request.get_data()))


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def to_response(reply: Reply) -> Response:
    """Return the answer, byte for byte as it was kept."""
    answer = reply.answer
    response = Response(answer.body, answer.status, content_type=answer.content_type)
    if reply.is_replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response
