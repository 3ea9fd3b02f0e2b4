"""The errors of auth-service.

Problem
├── WrongCredentials     401  wrong_credentials
├── OtpRequired          401  otp_required
├── OtpInvalid           401  otp_invalid
├── RefreshTokenInvalid  401  refresh_token_invalid
├── KeyNotFound          404  key_not_found
├── UserNotFound         404  user_not_found
├── UsernameTaken        409  username_taken
├── AlreadyRegistered    409  already_registered
├── LastAdmin            409  last_admin
├── NotRegistered        409  not_registered
├── KeyNeeded            409  key_needed
├── TotpOn               409  totp_on
├── TotpOff              409  totp_off
├── TotpNotBegun         409  totp_not_begun
├── WeakPassword         422  weak_password
├── WrongPassword        422  wrong_password
├── LinkInvalid          422  link_invalid
├── WrongCode            422  wrong_code
├── TooManyAttempts      429  too_many_attempts
└── HashingBusy          503  hashing_busy        (Unavailable)

OAuthError               400  invalid_request …   (RFC 6749, section 5.2: its own format)
├── InvalidClient        401  invalid_client
└── InsufficientScope    403  insufficient_scope
"""

import math
from collections.abc import Mapping
from typing import ClassVar

from shared.errors import NotFound, Problem, Unavailable, ValidationFailed


class WrongCredentials(Problem):
    """The user is unknown, the password wrong or the account disabled. The client does not learn which."""

    status = 401
    code = "wrong_credentials"
    detail = "Invalid username or password"


class OtpRequired(Problem):
    """The password is right, and the account also needs a code."""

    status = 401
    code = "otp_required"
    detail = "This account needs a code of its authenticator app, or a recovery code, as `otp`."


class OtpInvalid(Problem):
    """The password is right, and the code is wrong, too old or used. The client does not learn which."""

    status = 401
    code = "otp_invalid"
    detail = "The code is wrong, too old or already used."


class RefreshTokenInvalid(Problem):
    """The refresh token is unknown, expired or revoked. The client does not learn which."""

    status = 401
    code = "refresh_token_invalid"
    detail = "The refresh token is missing, expired or revoked. Log in again."


class UsernameTaken(Problem):
    """Another user has this name or a name that looks like it."""

    status = 409
    code = "username_taken"
    detail = "This username is taken; choose another."


class AlreadyRegistered(Problem):
    """The caller already has an account."""

    status = 409
    code = "already_registered"
    detail = "You are already logged in to an account. Log out first to create another one."


class _FieldRefused(ValidationFailed):
    """One field is invalid for a reason that its schema cannot express."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(errors=[{"location": "json", "field": field, "detail": detail}])


class WeakPassword(_FieldRefused):
    """The new password is easy to guess."""

    code = "weak_password"
    detail = "The password is too weak. See `errors`."


class WrongPassword(_FieldRefused):
    """The current password is wrong."""

    code = "wrong_password"
    detail = "The current password is wrong."

    def __init__(self) -> None:
        super().__init__("current_password", "is not the account's password")


class LinkInvalid(_FieldRefused):
    """The token of a mailed link is unknown, used, void or expired. The client does not learn which."""

    code = "link_invalid"
    detail = "This link is not valid any more. Request a new one."

    def __init__(self) -> None:
        super().__init__("token", "is unknown, used or expired")


class WrongCode(_FieldRefused):
    """The code is wrong, too old or used. The client does not learn which."""

    code = "wrong_code"
    detail = "The code is wrong."

    def __init__(self) -> None:
        super().__init__("code", "is wrong, too old or already used")


class TotpOn(Problem):
    """Two-factor authentication is on already."""

    status = 409
    code = "totp_on"
    detail = "Two-factor authentication is on already. Turn it off before you begin again."


class TotpOff(Problem):
    """Two-factor authentication is off."""

    status = 409
    code = "totp_off"
    detail = "Two-factor authentication is off."


class TotpNotBegun(Problem):
    """There is no secret whose code could confirm it."""

    status = 409
    code = "totp_not_begun"
    detail = "No secret waits for a code. Begin with `POST /auth/totp`."


class TooManyAttempts(Problem):
    """Too many tries failed, so the client must wait before the next one."""

    status = 429
    code = "too_many_attempts"

    def __init__(self, seconds: float) -> None:
        whole = max(1, math.ceil(seconds))
        self.headers = {"Retry-After": str(whole)}
        super().__init__(f"Too many attempts; try again in {whole} s.")


class HashingBusy(Unavailable):
    """The queue of passwords to hash is full."""

    code = "hashing_busy"
    detail = "Too many log-ins are in progress. Try again in a moment."


class LastAdmin(Problem):
    """The change would leave the shop without an admin."""

    status = 409
    code = "last_admin"
    detail = "This is the last admin who can log in. Create another admin first."


class NotRegistered(Problem):
    """A guest has no password to log in with, and so keeps the role of a guest."""

    status = 409
    code = "not_registered"
    detail = "A guest must register before getting another role."


class KeyNotFound(NotFound):
    """No signing key has this id."""

    code = "key_not_found"
    detail = "No signing key has this id. `list` shows all signing keys."


class UserNotFound(NotFound):
    """No user has this name."""

    code = "user_not_found"
    detail = "No user has this name."


class KeyNeeded(Problem):
    """The key is the one that signs now."""

    status = 409
    code = "key_needed"
    detail = "This is the key that signs now. Replace it with `rotate --now` first, then retire it."


class OAuthError(Exception):
    """An error of an OAuth endpoint, with its `error` code (RFC 6749, section 5.2)."""

    status: ClassVar[int] = 400
    headers: Mapping[str, str] = {}

    def __init__(self, error: str, description: str) -> None:
        self.error = error
        self.description = description
        super().__init__(description)


class InvalidClient(OAuthError):
    """The client is unknown, or its secret is wrong."""

    status = 401
    headers = {"WWW-Authenticate": 'Basic realm="shopfleet", charset="UTF-8"'}

    def __init__(self) -> None:
        super().__init__("invalid_client", "The client is unknown or its secret is wrong.")


class InsufficientScope(OAuthError):
    """The client is authenticated but lacks the required scope (RFC 6750, section 3.1)."""

    status = 403

    def __init__(self, scope: str) -> None:
        super().__init__("insufficient_scope", f"The client needs the scope {scope}.")
