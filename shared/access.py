"""Who may come in: each blueprint is mounted with one of these rules.

    mount(app, list_routes, access=SIGNED_IN)

A token comes in `Authorization: Bearer …` or in the cookie; the header wins.
"""

from dataclasses import dataclass, replace

from flask import Request

from shared import context
from shared.context import Caller
from shared.errors import Forbidden, TokenInvalid, TokenMissing
from shared.tokens import TokenVerifier

SERVICE_HEADER = "X-Service-Authorization"


@dataclass(frozen=True)
class Access:
    """A rule: the roles that may call, or the services that may.

    A token of another role may call too if it has `scope`.
    """

    name: str
    roles: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    scope: str | None = None

    @property
    def is_public(self) -> bool:
        """Tell whether anybody may call, token or not."""
        return not self.roles and not self.services

    def admit(self, request: Request, verifier: TokenVerifier, cookie: str) -> None:
        """Let the request in and remember its caller, or raise TokenMissing, TokenInvalid or Forbidden."""
        if self.services:
            self._admit_service(request, verifier)
        elif self.roles:
            caller = verifier.verify(find_token(request, cookie))
            if caller.role not in self.roles and self.scope not in caller.scope.split():
                raise Forbidden
            _remember(caller)

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
    header = request.headers.get("Authorization")
    if header is None and cookie in request.cookies:
        return request.cookies[cookie]
    return _bearer_of(header)


def cookie_name(*, production: bool) -> str:
    """Return the name of the token's cookie; the prefix binds it to this host and to TLS (RFC 6265bis)."""
    return "__Host-token" if production else "token"


def _bearer_of(header: str | None) -> str:
    if not header:
        raise TokenMissing
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise TokenInvalid
    token = token.strip()
    if not token:
        raise TokenMissing
    return token


def _remember(caller: Caller) -> None:
    work = context.current()
    context.enter(replace(work or context.Context(), caller=caller))
