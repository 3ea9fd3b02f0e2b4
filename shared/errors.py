"""The errors that a caller can meet, each owning its status and its code.

Problem                      500  internal_error
├── MalformedBody            400  malformed_body
├── TokenMissing             401  token_missing
├── TokenInvalid             401  token_invalid
├── Forbidden                403  forbidden
│   └── CrossSite            403  cross_site
├── NotFound                 404  not_found
├── BodyTooComplex           413  body_too_complex
├── UnsupportedMediaType     415  unsupported_media_type
├── ValidationFailed         422  validation_failed
└── Unavailable              503  unavailable
    ├── KeysUnavailable      503  keys_unavailable
    ├── SignOffsUnavailable  503  sign_offs_unavailable
    ├── DatabaseUnavailable  503  database_unavailable
    └── ServiceUnreachable   503  service_unreachable

A service's own errors derive from these in its `errors.py`. One handler in `shared.app` answers all of
them as `application/problem+json` (RFC 9457).
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

CONTENT_TYPE = "application/problem+json"
MOST_ENTRIES = 20  # Of a problem that names several fields.
LONGEST_NAME = 100  # Characters of a field's name.


class Problem(Exception):
    """An answer other than success: a status, a stable code for programs, a sentence for people.

    `extra` members are added to the body (RFC 9457, section 3.2); `headers` to the answer.
    """

    status: int = 500
    code: str = "internal_error"
    detail: str = "Something went wrong on our side; it has been logged."
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str | None = None, **extra: Any) -> None:
        self.detail = detail or self.detail
        self.extra = extra
        super().__init__(self.detail)


class MalformedBody(Problem):
    """The body is not JSON at all."""

    status = 400
    code = "malformed_body"
    detail = "The body is not valid JSON."


class TokenMissing(Problem):
    """The call carries no token (the tutorial's sentence)."""

    status = 401
    code = "token_missing"
    detail = "Authorization token is missing"
    headers = {"WWW-Authenticate": "Bearer"}


class TokenInvalid(Problem):
    """The token is not one of ours, or not any more (the tutorial's sentence; RFC 6750, section 3)."""

    status = 401
    code = "token_invalid"
    detail = "Authorization token is invalid"
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Forbidden(Problem):
    """The caller is known and may not do this."""

    status = 403
    code = "forbidden"
    detail = "You are not allowed to do this."


class CrossSite(Forbidden):
    """A browser sends the cookie, and another site made it do so."""

    code = "cross_site"
    detail = "A page of another site may not do this with your cookie; use the shop's own, or a Bearer token."


class NotFound(Problem):
    """There is no such thing, or none that this caller may know of."""

    status = 404
    code = "not_found"
    detail = "There is nothing here."


class UnsupportedMediaType(Problem):
    """The body is not declared as JSON (the tutorial's sentence)."""

    status = 415
    code = "unsupported_media_type"
    detail = "Unsupported Media Type"


class BodyTooComplex(Problem):
    """The body has more members, items or depth than any call needs; it was not decoded."""

    status = 413
    code = "body_too_complex"
    detail = "The body has too many members and items, or too many lists and objects within one another."


class ValidationFailed(Problem):
    """A field does not fit its schema; `errors` has one entry a field, 20 at most, and echoes no value.

    `error_count` says how many there are. A name that the caller has made up is cut.
    """

    status = 422
    code = "validation_failed"
    detail = "Some fields are not valid; see errors."

    def __init__(self, errors: Sequence[Mapping[str, Any]], **extra: Any) -> None:
        shown = [{**entry, "field": entry["field"][:LONGEST_NAME]} for entry in errors[:MOST_ENTRIES]]
        super().__init__(errors=shown, error_count=len(errors), **extra)


class Unavailable(Problem):
    """The service cannot do its work just now; the same call may succeed soon."""

    status = 503
    code = "unavailable"
    detail = "The service is not available just now; try again in a moment."
    headers = {"Retry-After": "1"}


class KeysUnavailable(Unavailable):
    """No public key to check a token with has been had yet, or the last copy is too old."""

    code = "keys_unavailable"
    detail = "Tokens cannot be checked just now; try again in a moment."


class SignOffsUnavailable(Unavailable):
    """No list of what was signed off has been had yet, or the last copy is too old."""

    code = "sign_offs_unavailable"
    detail = "Whether a token was signed off cannot be told just now; try again in a moment."


class DatabaseUnavailable(Unavailable):
    """The database does not answer."""

    code = "database_unavailable"
    detail = "The database does not answer just now; try again in a moment."


class ServiceUnreachable(Unavailable):
    """Another service gave no answer within its time."""

    code = "service_unreachable"
    detail = "Another service does not answer just now; try again in a moment."


def describe(
    status: int, code: str, detail: str, request_id: str | None, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the body of an error (RFC 9457); `error` repeats `detail` for the tutorial's clients."""
    return {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "detail": detail,
        "code": code,
        "error": detail,
        "request_id": request_id,
        **(extra or {}),
    }


# RFC 9110's phrases where Python's own have changed from one version to the next.
_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def title_of(status: int) -> str:
    """Return the status's phrase in HTTP, the title that goes with the type `about:blank`."""
    try:
        return _PHRASES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return "Error"
