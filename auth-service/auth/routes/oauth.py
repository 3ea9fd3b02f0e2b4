"""The OAuth 2.0 endpoints for clients."""

from urllib.parse import unquote_plus

from apiflask import APIBlueprint
from flask import Request, Response, jsonify, request
from pydantic import BaseModel
from werkzeug.exceptions import RequestEntityTooLarge

from auth.domain.clients import Scope
from auth.errors import InsufficientScope, InvalidClient, OAuthError
from auth.issuer import TokenIssuer
from auth.schemas.oauth import (
    ClientForm,
    Introspection,
    Metadata,
    OAuthErrorOut,
    TokenAnswer,
    TokenForm,
    TokenRequest,
)
from auth.use_cases import oauth
from auth.use_cases.oauth import Clients, Credentials
from shared.database import Database
from shared.openapi import Responses
from shared.tokens import TokenVerifier


def _document_refusals(*refusals: OAuthError) -> Responses:
    """Return the responses for OAuth errors, each with an example (RFC 6749, section 5.2)."""
    responses: Responses = {}
    for refusal in refusals:
        described = {"schema": OAuthErrorOut.model_json_schema(), "examples": {}}
        answer = responses.setdefault(
            refusal.status,
            {
                "description": "An OAuth error (RFC 6749, section 5.2)",
                "content": {"application/json": described},
            },
        )
        body = {"error": refusal.error, "error_description": refusal.description}
        examples = answer["content"]["application/json"]["examples"]
        examples[refusal.error] = {"summary": refusal.description, "value": body}
    return responses


NO_TOKEN = OAuthError("invalid_request", "token is missing.")
GRANT_ERRORS = _document_refusals(
    OAuthError("unsupported_grant_type", "Only the client_credentials grant is supported."),
    OAuthError("invalid_scope", "The requested scope exceeds the scopes of the client."),
    OAuthError("invalid_request", "grant_type is missing."),
    InvalidClient(),
)
INTROSPECTION_ERRORS = _document_refusals(
    NO_TOKEN, InvalidClient(), InsufficientScope(Scope.TOKENS_INTROSPECT)
)
REVOCATION: Responses = {
    200: {"description": "The token is revoked, or was not valid."},
    **_document_refusals(
        OAuthError("unauthorized_client", "The token was issued to another client."),
        NO_TOKEN,
        InvalidClient(),
    ),
}
# Credentials in the header; the schema of the form describes those in the form.
CLIENT: list[str | dict[str, list[str]]] = [{"client": []}]
# RFC 6749, section 5.1; every response of auth-service has the first header anyway.
NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
MAX_FORM = 16 * 1024  # Bytes: enough for the longest token with every character escaped, which triples it.
MAX_FIELDS = 20  # The RFCs define six for these routes, and clients may add their own.
AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


def oauth_routes(
    database: Database, clients: Clients, issuer: TokenIssuer, verifier: TokenVerifier
) -> APIBlueprint:
    """Return the routes of the token, introspection and revocation endpoints."""
    routes = APIBlueprint("oauth", __name__, tag="OAuth")

    @routes.before_request
    def bound_form() -> None:
        """Refuse a form that is expensive to parse, before parsing it."""
        if request.mimetype != "application/x-www-form-urlencoded":
            raise OAuthError("invalid_request", "The body must be application/x-www-form-urlencoded.")
        # The body is read in any case: the gateway is still sending it, and would treat a closed connection
        # as a failed replica.
        form = request.get_data(cache=True)
        if len(form) > MAX_FORM:
            raise RequestEntityTooLarge
        if form.count(b"&") >= MAX_FIELDS:
            raise OAuthError("invalid_request", f"The form has more than {MAX_FIELDS} fields.")

    @routes.post("/auth/token")
    @routes.input(TokenRequest, location="form")
    @routes.output(TokenAnswer)
    @routes.doc(responses=GRANT_ERRORS, security=CLIENT)
    def grant_token(form_data: TokenRequest) -> Response:
        """Issue a token for client credentials (RFC 6749, section 4.4)."""
        client = clients.authenticate(_read_credentials(request, form_data))
        token, scope = oauth.grant_client_credentials(client, issuer, form_data.grant_type, form_data.scope)
        return _answer(TokenAnswer(**vars(token), scope=scope or None))

    @routes.post("/auth/introspect")
    @routes.input(TokenForm, location="form")
    @routes.output(Introspection)
    @routes.doc(responses=INTROSPECTION_ERRORS, security=CLIENT)
    def introspect(form_data: TokenForm) -> Response:
        """Return whether a token is active, and its claims (RFC 7662)."""
        client = clients.authenticate(_read_credentials(request, form_data))
        return _answer(Introspection(**oauth.introspect(database, verifier, client, form_data.token)))

    @routes.post("/auth/revoke")
    @routes.input(TokenForm, location="form")
    @routes.doc(responses=REVOCATION, security=[*CLIENT, {}])
    def revoke(form_data: TokenForm) -> Response:
        """Revoke a token that was issued to the client (RFC 7009)."""
        credentials = _read_credentials(request, form_data)
        oauth.revoke(database, verifier, clients, credentials, form_data.token)
        return Response(status=200, headers=NOT_STORED)

    @routes.errorhandler(OAuthError)
    def answer_oauth(error: OAuthError) -> tuple[dict[str, str], int, dict[str, str]]:
        body = {"error": error.error, "error_description": error.description}
        return body, error.status, {**NOT_STORED, **error.headers}

    return routes


def metadata_routes(public_url: str) -> APIBlueprint:
    """Return the route of the authorization server metadata."""
    routes = APIBlueprint("metadata", __name__)
    base = public_url.rstrip("/")

    @routes.get("/.well-known/oauth-authorization-server")
    @routes.output(Metadata)
    def show_metadata() -> tuple[Metadata, int, dict[str, str]]:
        """Show the OAuth endpoints and their capabilities (RFC 8414)."""
        answer = Metadata(
            issuer=public_url,
            token_endpoint=f"{base}/auth/token",
            introspection_endpoint=f"{base}/auth/introspect",
            revocation_endpoint=f"{base}/auth/revoke",
            jwks_uri=f"{base}/.well-known/jwks.json",
            service_documentation=f"{base}/docs?urls.primaryName=auth",
            grant_types_supported=["client_credentials"],
            # The member is required and must not be empty. There is no authorization endpoint, and `none` is
            # the registered type that issues nothing.
            response_types_supported=["none"],
            scopes_supported=list(Scope),
            token_endpoint_auth_methods_supported=AUTH_METHODS,
            introspection_endpoint_auth_methods_supported=AUTH_METHODS,
            revocation_endpoint_auth_methods_supported=[*AUTH_METHODS, "none"],
        )
        return answer, 200, {"Cache-Control": "public, max-age=300"}

    return routes


def _answer(body: BaseModel) -> Response:
    """Return a response without the members that are null."""
    response = jsonify(body.model_dump(exclude_none=True))
    response.headers.update(NOT_STORED)
    return response


def _read_credentials(request: Request, form: ClientForm) -> Credentials:
    """Return the client's credentials from the header or the form (RFC 6749, section 2.3.1).

    An empty parameter counts as omitted, and no parameter may be repeated (section 3.2).
    """
    if any(len(request.form.getlist(name)) > 1 for name in request.form):
        raise OAuthError("invalid_request", "A parameter is repeated.")
    if "Authorization" not in request.headers:
        if not form.client_id:
            raise InvalidClient
        return Credentials(form.client_id, form.client_secret or None)
    basic = request.authorization
    if basic is None or basic.type != "basic" or not basic.username:
        raise InvalidClient
    client_id, secret = unquote_plus(basic.username or ""), unquote_plus(basic.password or "")
    if form.client_secret or (form.client_id and form.client_id != client_id):
        raise OAuthError("invalid_request", "Send exactly one form of client authentication.")
    return Credentials(client_id, secret)
