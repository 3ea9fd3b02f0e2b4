"""auth-service's refusals.

Problem
├── WrongCredentials   401  wrong_credentials
└── HashingBusy        503  hashing_busy        (Unavailable)

OAuthError             400  invalid_request …   (RFC 6749, section 5.2: a shape of its own)
└── InvalidClient      401  invalid_client
"""

from collections.abc import Mapping
from typing import ClassVar

from shared.errors import Problem, Unavailable


class WrongCredentials(Problem):
    """No such user, another password, or a disabled account: nobody is told which."""

    status = 401
    code = "wrong_credentials"
    detail = "Invalid username or password"


class HashingBusy(Unavailable):
    """More passwords wait to be checked than this process may hash at once."""

    code = "hashing_busy"
    detail = "Too many people are logging in just now; try again in a moment."


class OAuthError(Exception):
    """A refusal of an OAuth endpoint, with its `error` code (RFC 6749, section 5.2)."""

    status: ClassVar[int] = 400
    headers: Mapping[str, str] = {}

    def __init__(self, error: str, description: str) -> None:
        self.error = error
        self.description = description
        super().__init__(description)


class InvalidClient(OAuthError):
    """The client is unknown, or its secret is another."""

    status = 401
    headers = {"WWW-Authenticate": 'Basic realm="shopfleet", charset="UTF-8"'}

    def __init__(self) -> None:
        super().__init__("invalid_client", "The client is unknown or its secret is wrong.")
