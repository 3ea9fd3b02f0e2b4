"""auth-service's refusals.

Problem
├── WrongCredentials     401  wrong_credentials
├── RefreshTokenInvalid  401  refresh_token_invalid
├── KeyNotFound          404  key_not_found
├── UsernameTaken        409  username_taken
├── AlreadyRegistered    409  already_registered
├── LastAdmin            409  last_admin
├── NotRegistered        409  not_registered
├── KeyNeeded            409  key_needed
├── WeakPassword         422  weak_password
├── WrongPassword        422  wrong_password
├── TooManyAttempts      429  too_many_attempts
└── HashingBusy          503  hashing_busy        (Unavailable)

OAuthError               400  invalid_request …   (RFC 6749, section 5.2: a shape of its own)
├── InvalidClient        401  invalid_client
└── InsufficientScope    403  insufficient_scope
"""

import math
from collections.abc import Mapping
from typing import ClassVar

from shared.errors import NotFound, Problem, Unavailable, ValidationFailed


class WrongCredentials(Problem):
    """No such user, another password, or a disabled account: nobody is told which."""

    status = 401
    code = "wrong_credentials"
    detail = "Invalid username or password"


class RefreshTokenInvalid(Problem):
    """The refresh token is unknown, over, or of a session that was ended: nobody is told which."""

    status = 401
    code = "refresh_token_invalid"
    detail = "The refresh token is missing or not valid any more; log in again."


class UsernameTaken(Problem):
    """Another user has that name, or one that looks like it."""

    status = 409
    code = "username_taken"
    detail = "This user name is taken; choose another."


class AlreadyRegistered(Problem):
    """Whoever calls has an account already."""

    status = 409
    code = "already_registered"
    detail = "You have an account already and are logged in to it; log out first to make another."


class _FieldRefused(ValidationFailed):
    """One field is refused for a reason that its schema cannot know."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(errors=[{"location": "json", "field": field, "detail": detail}])


class WeakPassword(_FieldRefused):
    """The new password would be guessed."""

    code = "weak_password"
    detail = "This password will not do; see errors."


class WrongPassword(_FieldRefused):
    """It is not the password that the account has now."""

    code = "wrong_password"
    detail = "The current password is another."

    def __init__(self) -> None:
        super().__init__("current_password", "is not the account's password")


class TooManyAttempts(Problem):
    """So many tries failed that the next one has to wait."""

    status = 429
    code = "too_many_attempts"

    def __init__(self, seconds: float) -> None:
        whole = max(1, math.ceil(seconds))
        self.headers = {"Retry-After": str(whole)}
        super().__init__(f"Too many attempts; try again in {whole} s.")


class HashingBusy(Unavailable):
    """More passwords wait to be checked than this process may hash at once."""

    code = "hashing_busy"
    detail = "Too many people are logging in just now; try again in a moment."


class LastAdmin(Problem):
    """Without this one nobody could do an admin's work any more."""

    status = 409
    code = "last_admin"
    detail = "This is the last admin who can log in; make another one first."


class NotRegistered(Problem):
    """A guest has no password to log in with, and so no role but that of a guest."""

    status = 409
    code = "not_registered"
    detail = "This is a guest, who has to register before getting another role."


class KeyNotFound(NotFound):
    """There is no such signing key."""

    code = "key_not_found"
    detail = "There is no signing key of that id; `list` shows those that there are."


class KeyNeeded(Problem):
    """Nothing could be signed without this key."""

    status = 409
    code = "key_needed"
    detail = "This key signs now. Let another one sign first, with `rotate --now`, and then retire this one."


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


class InsufficientScope(OAuthError):
    """The client is known, and was not given the scope that this takes (RFC 6750, section 3.1)."""

    status = 403

    def __init__(self, scope: str) -> None:
        super().__init__("insufficient_scope", f"The client needs the scope {scope}.")
