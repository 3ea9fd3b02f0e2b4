"""The errors that every service can return. Each class owns its status and code.

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

Each service derives its own errors from these in its `errors.py`. One handler in `shared.app` returns all of
them as `application/problem+json` (RFC 9457).
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

CONTENT_TYPE = "application/problem+json"
MOST_ENTRIES = 20  # Entries of a ValidationFailed.
LONGEST_NAME = 100  # Characters of a field's name.


class Problem(Exception):
    """An error response: a status, a stable code for programs, a sentence for people.

    `extra` members are added to the body (RFC 9457, section 3.2), `headers` to the response.
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
    """The body is not valid JSON."""

    status = 400
    code = "malformed_body"
    detail = "The body is not valid JSON."


class TokenMissing(Problem):
    """The request has no token (the tutorial's sentence)."""

    status = 401
    code = "token_missing"
    detail = "Authorization token is missing"
    headers = {"WWW-Authenticate": "Bearer"}


class TokenInvalid(Problem):
    """The token is forged, expired or signed off (the tutorial's sentence; RFC 6750, section 3)."""

    status = 401
    code = "token_invalid"
    detail = "Authorization token is invalid"
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Forbidden(Problem):
    """The caller is authenticated, but not authorized."""

    status = 403
    code = "forbidden"
    detail = "You are not allowed to do this."


class CrossSite(Forbidden):
    """A page of another site made the browser send the cookie."""

    code = "cross_site"
    detail = "Requests from another site may not use your cookie; use the shop's pages or a Bearer token."


class NotFound(Problem):
    """The resource does not exist, or the caller may not know that it does."""

    status = 404
    code = "not_found"
    detail = "The resource does not exist."


class UnsupportedMediaType(Problem):
    """The body is not declared as JSON (the tutorial's sentence)."""

    status = 415
    code = "unsupported_media_type"
    detail = "Unsupported Media Type"


class BodyTooComplex(Problem):
    """The JSON has more values or deeper nesting than any call needs; it was not decoded."""

    status = 413
    code = "body_too_complex"
    detail = "The body has too many values, or is nested too deeply."


class ValidationFailed(Problem):
    """Some fields do not match the schema.

    `errors` has one entry for each field, 20 at most, and echoes no value; `error_count` is their full
    number. Long field names are truncated, because the caller may have invented them.
    """

    status = 422
    code = "validation_failed"
    detail = "Some fields are invalid; see errors."

    def __init__(self, errors: Sequence[Mapping[str, Any]], **extra: Any) -> None:
        shown = [{**entry, "field": entry["field"][:LONGEST_NAME]} for entry in errors[:MOST_ENTRIES]]
        super().__init__(errors=shown, error_count=len(errors), **extra)


class Unavailable(Problem):
    """The service is temporarily unavailable; a retry may succeed."""

    status = 503
    code = "unavailable"
    detail = "The service is temporarily unavailable; try again in a moment."
    headers = {"Retry-After": "1"}


class KeysUnavailable(Unavailable):
    """The service has no public keys to verify tokens with yet, or its copy is too old."""

    code = "keys_unavailable"
    detail = "Tokens cannot be verified at the moment; try again shortly."


class SignOffsUnavailable(Unavailable):
    """The service has no signed-off list yet, or its copy is too old."""

    code = "sign_offs_unavailable"
    detail = "The list of signed-off tokens is unavailable; try again in a moment."


class DatabaseUnavailable(Unavailable):
    """The database does not respond."""

    code = "database_unavailable"
    detail = "The database is unavailable; try again in a moment."


class ServiceUnreachable(Unavailable):
    """Another service did not respond in time."""

    code = "service_unreachable"
    detail = "Another service did not respond; try again in a moment."


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


# RFC 9110's phrases, where those of Python differ between versions.
_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def title_of(status: int) -> str:
    """Return the HTTP reason phrase of a status, the title for the type `about:blank`."""
    try:
        return _PHRASES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return "Error"
