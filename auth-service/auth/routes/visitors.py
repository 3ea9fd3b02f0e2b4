"""Who calls, before they are anybody: the address, and what they had with them from before."""

from flask import Request

from auth.domain import Visitor
from auth.use_cases.accounts import Presented
from shared.access import find_token, has_bearer, refuse_cross_site
from shared.app import ServiceFlask
from shared.errors import Forbidden, TokenInvalid, TokenMissing

REFRESH_COOKIE = "refresh"


def read_visitor(request: Request) -> Visitor:
    """Return where the call comes from; the gateway overwrites X-Forwarded-For, so its last value counts."""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    address = _keep_printable(forwarded or request.remote_addr or "", 64)
    return Visitor(address or "unknown", _keep_printable(request.user_agent.string, 300) or None)


def read_presented(app: ServiceFlask, request: Request, *, strict: bool) -> Presented:
    """Return what the caller had with them: in the header, else in the cookies.

    A token in the header that is no person's raises TokenInvalid, TokenMissing or Forbidden if `strict`, and
    otherwise counts as none. A cookie that has ended merely leads to the next one. Raises CrossSite if
    another site sends the cookies.
    """
    has_cookie = app.cookie in request.cookies or REFRESH_COOKIE in request.cookies
    if has_bearer(request) or ("Authorization" in request.headers and not has_cookie):
        try:
            caller = app.verifier.verify(find_token(request, app.cookie))
            if caller.role == "service":
                raise Forbidden
        except (TokenInvalid, TokenMissing, Forbidden):
            if strict:
                raise
            return Presented()
        return Presented(caller)
    token, refresh_token = request.cookies.get(app.cookie), request.cookies.get(REFRESH_COOKIE)
    if token or refresh_token:
        refuse_cross_site(request, app.settings.public_url)
    if token:
        try:
            return Presented(app.verifier.verify(token))
        except TokenInvalid:
            pass
    return Presented(refresh_token=refresh_token)


def _keep_printable(text: str, length: int) -> str:
    return "".join(character for character in text if character.isprintable())[:length]
