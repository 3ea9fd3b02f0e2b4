"""What is known of a visitor before a log-in: the address, the page, and the tokens from before."""

from dataclasses import dataclass

from apiflask import APIBlueprint
from flask import Request, request

from auth.domain import Visitor
from auth.use_cases.accounts import Presented
from shared.access import find_token, has_bearer, refuse_cross_site
from shared.app import ServiceFlask
from shared.client_address import read_address
from shared.errors import CrossSite, Forbidden, TokenInvalid, TokenMissing

REFRESH_COOKIE = "refresh"
LONGEST_PROGRAM = 300  # Characters of a User-Agent.


@dataclass(frozen=True)
class Pages:
    """Whose pages may call routes that set cookies: the shop's own, and those of other `origins` without any.

    A browser keeps the cookies of an answer that the page which asked cannot read.
    """

    public_url: str
    origins: frozenset[str]

    def guard(self, routes: APIBlueprint) -> None:
        """Have the blueprint refuse any other site's page, before anything is done for it."""
        routes.before_request(self._refuse_others)

    def _refuse_others(self) -> None:
        """Raise CrossSite for another page's request that changes something."""
        self.may_have_cookies(request)

    def may_have_cookies(self, request: Request) -> bool:
        """Tell whether cookies of the request count, and whether the answer may set some; raise CrossSite."""
        try:
            refuse_cross_site(request, self.public_url)
        except CrossSite:
            if request.headers.get("Origin") not in self.origins:
                raise
            return False
        return True


def read_visitor(request: Request) -> Visitor:
    """Return where the call comes from, and from which program."""
    program = "".join(sign for sign in request.user_agent.string if sign.isprintable())[:LONGEST_PROGRAM]
    return Visitor(read_address(request.headers.get("X-Forwarded-For"), request.remote_addr), program or None)


def read_presented(app: ServiceFlask, pages: Pages, request: Request, *, strict: bool) -> Presented:
    """Return what the caller had with them: in the header, else in the cookies.

    A token in the header that is no person's raises TokenInvalid, TokenMissing or Forbidden if `strict`, and
    otherwise counts as none. A cookie that has ended merely leads to the next one.
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
