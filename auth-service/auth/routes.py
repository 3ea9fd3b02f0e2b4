"""auth-service over HTTP."""

from typing import Any

from apiflask import APIBlueprint
from flask import Request, Response, jsonify, request

from auth import use_cases
from auth.domain import Session
from auth.errors import InvalidClient, OAuthError
from auth.issuer import TokenIssuer
from auth.keys import SigningKeys
from auth.passwords import Passwords
from auth.schemas import Credentials, KeySet, OAuthErrorOut, SignedIn, TokenAnswer, TokenRequest, UserOut
from shared.access import cookie_name
from shared.context import require_caller
from shared.database import Database

_OAUTH_ERROR: dict[str, str | dict[str, dict[str, Any]]] = {
    "description": "An OAuth error (RFC 6749, section 5.2)",
    "content": {"application/json": {"schema": OAuthErrorOut.model_json_schema()}},
}
OAUTH_ERRORS: dict[int | str, dict[str, str | dict[str, dict[str, Any]]]] = {
    400: _OAUTH_ERROR,
    401: _OAUTH_ERROR,
}


def login_routes(
    database: Database, passwords: Passwords, issuer: TokenIssuer, *, production: bool
) -> APIBlueprint:
    """Return the routes by which people come in."""
    routes = APIBlueprint("login", __name__)

    @routes.post("/auth")
    @routes.input(Credentials)
    @routes.output(SignedIn)
    @routes.doc(responses=[401])
    def log_in(json_data: Credentials) -> Response:
        """Log in with a user name and a password."""
        session = use_cases.log_in(database, passwords, issuer, json_data.username, json_data.password)
        return _answer(session, 200)

    @routes.post("/auth/guest")
    @routes.output(SignedIn, status_code=201)
    def enter_as_guest() -> Response:
        """Come in without a name: each call makes a new guest."""
        return _answer(use_cases.enter_as_guest(database, issuer), 201)

    def _answer(session: Session, status: int) -> Response:
        response = jsonify(SignedIn(**vars(session)).model_dump())
        response.status_code = status
        response.set_cookie(
            cookie_name(production=production),
            session.access_token,
            max_age=session.expires_in,
            httponly=True,
            samesite="Lax",
            secure=production,
        )
        return response

    return routes


def account_routes(database: Database) -> APIBlueprint:
    """Return the routes for people who are in."""
    routes = APIBlueprint("account", __name__)

    @routes.get("/auth/me")
    @routes.output(UserOut)
    @routes.doc(responses=[404])
    def show_me() -> UserOut:
        """Show the account that the token speaks of."""
        return UserOut.model_validate(use_cases.find_user(database, require_caller().sub))

    return routes


def oauth_routes(clients: dict[str, str], issuer: TokenIssuer) -> APIBlueprint:
    """Return the routes for programs (RFC 6749)."""
    routes = APIBlueprint("oauth", __name__)

    @routes.post("/auth/token")
    @routes.input(TokenRequest, location="form")
    @routes.output(TokenAnswer)
    @routes.doc(responses=OAUTH_ERRORS)
    def grant_token(form_data: TokenRequest) -> TokenAnswer:
        """Give a service its token for its client credentials."""
        client_id, secret = _read_client(request, form_data)
        session = use_cases.grant_client_credentials(clients, issuer, form_data.grant_type, client_id, secret)
        return TokenAnswer(**vars(session))

    @routes.errorhandler(OAuthError)
    def answer_oauth(error: OAuthError) -> tuple[dict[str, str], int, dict[str, str]]:
        body = {"error": error.error, "error_description": error.description}
        return body, error.status, dict(error.headers)

    return routes


def key_routes(keys: SigningKeys) -> APIBlueprint:
    """Return the route by which everybody learns the public keys."""
    routes = APIBlueprint("keys", __name__)

    @routes.get("/.well-known/jwks.json")
    @routes.output(KeySet)
    def show_keys() -> tuple[KeySet, int, dict[str, str]]:
        """Show the public keys that tokens are verified with."""
        answer = KeySet(keys=[key.public_jwk for key in keys.current()])
        return answer, 200, {"Cache-Control": "public, max-age=30"}

    return routes


def _read_client(request: Request, form: TokenRequest) -> tuple[str, str]:
    """Return a client's id and secret, from the header or the form (RFC 6749, section 2.3.1)."""
    if request.mimetype != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "The body must be application/x-www-form-urlencoded.")
    basic = request.authorization
    if basic and basic.type == "basic":
        return basic.username or "", basic.password or ""
    if form.client_id is None:
        raise InvalidClient
    return form.client_id, form.client_secret or ""
