"""Who may come in: each blueprint is mounted with one of these rules.

    mount(app, list_routes, access=SIGNED_IN)

A token comes in `Authorization: Bearer …` or in the cookie; the header wins. A header that is empty or has
another scheme (a staging site's password, say) counts as absent where there is a cookie. A browser sends the
cookie with every request, whichever page makes it. So a request by cookie that changes something must come
from the shop's page.
"""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from flask import Request

from shared import context
from shared.context import Caller
from shared.errors import CrossSite, Forbidden, TokenInvalid, TokenMissing
from shared.tokens import TokenVerifier

SERVICE_HEADER = "X-Service-Authorization"
BLANKS = " \t"  # Not all that Unicode calls a blank (RFC 9110, section 5.6.3).
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # They change nothing (RFC 9110, section 9.2.1).


@dataclass(frozen=True)
class Access:
    """A rule: the roles that may call, or the services that may.

    A token of another role may call too if it has `scope`. An integrator's has the role of a service and may
    call by its scopes alone.
    """

    name: str
    roles: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    scope: str | None = None

    @property
    def is_public(self) -> bool:
        """Tell whether anybody may call, token or not."""
        return not self.roles and not self.services

    def admit(self, request: Request, verifier: TokenVerifier, cookie: str, public_url: str) -> None:
        """Let the request in and remember its caller.

        Raises TokenMissing, TokenInvalid, Forbidden or CrossSite.
        """
        if self.services:
            self._admit_service(request, verifier)
        elif self.roles:
            if comes_by_cookie(request, cookie):
                refuse_cross_site(request, public_url)
            caller = verifier.verify(find_token(request, cookie))
            if not self._lets_in(caller):
                raise Forbidden
            _remember(caller)

    def _lets_in(self, caller: Caller) -> bool:
        by_role = caller.role in self.roles and not caller.is_integrator
        return by_role or self.scope in caller.scope.split()

    def _admit_service(self, request: Request, verifier: TokenVerifier) -> None:
        caller = verifier.verify(_bearer_of(request.headers.get(SERVICE_HEADER)))
        if caller.role != "service" or caller.client_id not in self.services:
            raise Forbidden
        _remember(caller)
        # The person for whom the service calls, if a token of theirs came along.
        if "Authorization" in request.headers:
            forwarded = verifier.verify(_bearer_of(request.headers["Authorization"]))
            context.bind_customer(forwarded.sub)


PUBLIC = Access("public")
SIGNED_IN = Access("signed in", roles=frozenset({"guest", "customer", "admin"}))
ADMIN = Access("admin", roles=frozenset({"admin"}))


def services(*client_ids: str) -> Access:
    """Return the rule of an internal route: only these services of ours."""
    return Access("internal", services=frozenset(client_ids))


def require_customer(customer: str) -> None:
    """Refuse an internal call that names one customer and carries another's token; raise Forbidden."""
    work = context.current()
    if work and work.customer is not None and work.customer != customer:
        raise Forbidden


def find_token(request: Request, cookie: str) -> str:
    """Return the token that the request carries; raise TokenMissing or TokenInvalid."""
    if comes_by_cookie(request, cookie):
        return request.cookies[cookie]
    return _bearer_of(request.headers.get("Authorization"))


def comes_by_cookie(request: Request, cookie: str) -> bool:
    """Tell whether the cookie has the token: there is one, and no Bearer token in the header."""
    return cookie in request.cookies and not has_bearer(request)


def has_bearer(request: Request) -> bool:
    """Tell whether Authorization has a Bearer token, good or not. The gateway reads it by the same rule."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and bool(token.strip(BLANKS))


def refuse_cross_site(request: Request, public_url: str) -> None:
    """Raise CrossSite if another site's page made a browser send a request that changes something.

    For requests whose cookie is about to be believed. A browser of today says where the request comes from in
    Sec-Fetch-Site (W3C Fetch Metadata), an older one in Origin; a program without pages says neither, and
    nobody misuses its cookie.
    """
    if request.method in SAFE_METHODS:
        return
    fetch_site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if fetch_site is not None:
        allowed = fetch_site in {"same-origin", "none"}
    elif origin is not None:
        # Whatever ends TLS before the gateway hides the scheme, so that hosts and ports are compared alone.
        own = {_host_of(f"{request.scheme}://{request.host}"), _host_of(public_url)}
        allowed = _host_of(origin) in own - {""}
    else:
        allowed = True
    if not allowed:
        raise CrossSite


def cookie_name(*, production: bool) -> str:
    """Return the name of the token's cookie; the prefix binds it to this host and to TLS (RFC 6265bis)."""
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
    """Return host and port as browsers write them, without a scheme's usual port; "" if there is none."""
    try:
        parts = urlsplit(url)
        usual = parts.port in {None, {"http": 80, "https": 443}.get(parts.scheme)}
        return f"{parts.hostname or ''}{'' if usual else f':{parts.port}'}"
    except ValueError:
        return ""


def _remember(caller: Caller) -> None:
    work = context.current()
    context.enter(replace(work or context.Context(), caller=caller))
