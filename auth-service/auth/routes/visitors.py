"""The visitor of a request: the address, the page, and earlier tokens."""

from dataclasses import dataclass

from apiflask import APIBlueprint
from flask import Request, request

from auth.domain.accounts import Visitor
from auth.use_cases.accounts import Presented
from shared.access import find_token, has_bearer, refuse_cross_site
from shared.app import ServiceFlask
from shared.client_address import read_address
from shared.errors import CrossSite, Forbidden, TokenInvalid, TokenMissing

REFRESH_COOKIE = "refresh"
LONGEST_USER_AGENT = 300  # Characters.


@dataclass(frozen=True)
class Pages:
    """The pages that may call routes that set cookies. Pages of `origins` get no cookies.

    A browser stores the cookies of a response even if the page cannot read that response.
    """

    public_url: str
    origins: frozenset[str]

    def guard(self, routes: APIBlueprint) -> None:
        """Refuse requests of all other pages before the routes of the blueprint run."""
        routes.before_request(self._refuse_others)

    def _refuse_others(self) -> None:
        """Raise CrossSite for a request of another site's page that changes data."""
        self.may_have_cookies(request)

    def may_have_cookies(self, request: Request) -> bool:
        """Return whether to read and set cookies; raise CrossSite for a page that may not call."""
        try:
            refuse_cross_site(request, self.public_url)
        except CrossSite:
            if request.headers.get("Origin") not in self.origins:
                raise
            return False
        return True


def read_visitor(request: Request) -> Visitor:
    """Return the address and the user agent of the request."""
    agent = "".join(sign for sign in request.user_agent.string if sign.isprintable())[:LONGEST_USER_AGENT]
    return Visitor(read_address(request.headers.get("X-Forwarded-For"), request.remote_addr), agent or None)


def read_presented(app: ServiceFlask, pages: Pages, request: Request, *, strict: bool) -> Presented:
    """Return the caller's earlier tokens from the header, else from the cookies.

    If the header has no valid token of a user, `strict` raises TokenInvalid, TokenMissing or Forbidden;
    otherwise the header is ignored. An expired access token in a cookie falls back to the refresh cookie.
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
    if not pages.may_have_cookies(request):
        return Presented()
    token, refresh_token = request.cookies.get(app.cookie), request.cookies.get(REFRESH_COOKIE)
    if token:
        try:
            return Presented(app.verifier.verify(token))
        except TokenInvalid:
            pass
    return Presented(refresh_token=refresh_token)
