"""Access rules. Each blueprint is mounted with one of them.

    mount(app, list_routes, access=SIGNED_IN)

The client sends its token in `Authorization: Bearer …` or in the cookie; the header wins. An empty header, or
one with another scheme (for example a staging site's Basic credentials), is ignored if there is a cookie. A
browser attaches the cookie to requests from any site, so an unsafe request that relies on it must come from
the shop's own pages.
"""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from flask import Request

from shared import context, roles
from shared.context import Caller
from shared.errors import CrossSite, Forbidden, TokenInvalid, TokenMissing
from shared.tokens import TokenVerifier

SERVICE_HEADER = "X-Service-Authorization"
BLANKS = " \t"  # HTTP whitespace is narrower than Unicode's (RFC 9110, section 5.6.3).
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, section 9.2.1.


@dataclass(frozen=True)
class Access:
    """A rule: the roles that may call, or the services.

    A token with any other role is also admitted if it has `scope`. An integrator's token has the role
    `service` and is admitted by its scopes only.
    """

    name: str
    roles: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    scope: str | None = None

    @property
    def is_public(self) -> bool:
        """Return whether a caller needs no token."""
        return not self.roles and not self.services

    def admit(self, request: Request, verifier: TokenVerifier, cookie: str, public_url: str) -> None:
        """Admit the request and bind its caller to the context.

        Raises TokenMissing, TokenInvalid, Forbidden or CrossSite.
        """
        if self.services:
            self._admit_service(request, verifier)
        elif self.roles:
            if comes_by_cookie(request, cookie):
                refuse_cross_site(request, public_url)
            caller = verifier.verify(find_token(request, cookie))
            if not self._admits(caller):
                raise Forbidden
            _remember(caller)

    def _admits(self, caller: Caller) -> bool:
        by_role = caller.role in self.roles and not caller.is_integrator
        return by_role or self.scope in caller.scope.split()

    def _admit_service(self, request: Request, verifier: TokenVerifier) -> None:
        caller = verifier.verify(_bearer_of(request.headers.get(SERVICE_HEADER)))
        if caller.role != "service" or caller.client_id not in self.services:
            raise Forbidden
        _remember(caller)
        # The service may forward the token of the customer it calls for.
        if "Authorization" in request.headers:
            forwarded = verifier.verify(_bearer_of(request.headers["Authorization"]))
            context.bind_customer(forwarded.sub)


PUBLIC = Access("public")
SIGNED_IN = Access("signed in", roles=roles.SIGNED_IN)
REGISTERED = Access("registered", roles=roles.REGISTERED)
CLERK = Access("clerk", roles=roles.CLERKS)
EDITOR = Access("editor", roles=roles.EDITORS)
ADMIN = Access("admin", roles=frozenset({"admin"}))


def services(*client_ids: str) -> Access:
    """Return the rule of an internal route that only these services may call."""
    return Access("internal", services=frozenset(client_ids))


def require_customer(customer: str) -> None:
    """Raise Forbidden if an internal call names one customer and forwards the token of a different one."""
    work = context.current()
    if work and work.customer is not None and work.customer != customer:
        raise Forbidden


def find_token(request: Request, cookie: str) -> str:
    """Return the request's token; raise TokenMissing or TokenInvalid."""
    if comes_by_cookie(request, cookie):
        return request.cookies[cookie]
    return _bearer_of(request.headers.get("Authorization"))


def comes_by_cookie(request: Request, cookie: str) -> bool:
    """Return whether the token comes from the cookie: it is set, and the header has no Bearer token."""
    return cookie in request.cookies and not has_bearer(request)


def has_bearer(request: Request) -> bool:
    """Return whether Authorization has a Bearer token, valid or not. The gateway applies the same rule."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and bool(token.strip(BLANKS))


def refuse_cross_site(request: Request, public_url: str) -> None:
    """Raise CrossSite if a page of another site made the browser send an unsafe request.

    Call this before trusting a cookie. A current browser names the origin of the request in Sec-Fetch-Site
    (W3C Fetch Metadata), an older one in Origin. A client that is not a browser sends neither, and is not
    exposed to cross-site request forgery.
    """
    if request.method in SAFE_METHODS:
        return
    fetch_site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if fetch_site is not None:
        allowed = fetch_site in {"same-origin", "none"}
    elif origin is not None:
        # A proxy that terminates TLS in front of the gateway hides the scheme, so compare host and port only.
        own = {_host_of(f"{request.scheme}://{request.host}"), _host_of(public_url)}
        allowed = _host_of(origin) in own - {""}
    else:
        allowed = True
    if not allowed:
        raise CrossSite


def cookie_name(*, production: bool) -> str:
    """Return the name of the token cookie; the prefix binds it to this host and to TLS (RFC 6265bis)."""
    return "__Host-token" if production else "token"


def _bearer_of(header: str | None) -> str:
    if not header:
        raise TokenMissing
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise TokenInvalid
    token = token.strip(BLANKS)
    if not token:
        raise TokenMissing
    return token


def _host_of(url: str) -> str:
    """Return the host and port as browsers write them: no default port, and "" if the URL has no host."""
    try:
        parts = urlsplit(url)
        is_default = parts.port in {None, {"http": 80, "https": 443}.get(parts.scheme)}
        return f"{parts.hostname or ''}{'' if is_default else f':{parts.port}'}"
    except ValueError:
        return ""


def _remember(caller: Caller) -> None:
    work = context.current()
    context.enter(replace(work or context.Context(), caller=caller))
