"""Routes for log-in, registration and the caller's own account."""

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from auth.domain.accounts import SignIn
from auth.domain.credentials import GUESSABLE
from auth.errors import (
    AlreadyRegistered,
    HashingBusy,
    OtpInvalid,
    OtpRequired,
    RefreshTokenInvalid,
    TooManyAttempts,
    UsernameTaken,
    WeakPassword,
    WrongCredentials,
    WrongPassword,
)
from auth.issuer import TokenIssuer
from auth.passwords import Passwords
from auth.routes.visitors import REFRESH_COOKIE, Pages, read_presented, read_visitor
from auth.schemas.accounts import (
    Credentials,
    OwnUser,
    PasswordChange,
    RefreshRequest,
    Registration,
    SignedIn,
    UserOut,
)
from auth.use_cases import accounts, sessions
from shared.app import ServiceFlask, body_optional, problem_response
from shared.context import require_caller
from shared.database import Database
from shared.errors import CrossSite, Forbidden, KeysUnavailable, NotFound, TokenInvalid
from shared.openapi import document_errors


def login_routes(
    app: ServiceFlask, pages: Pages, database: Database, passwords: Passwords, issuer: TokenIssuer
) -> APIBlueprint:
    """Return the routes that start or refresh a session."""
    routes = APIBlueprint("login", __name__)
    pages.guard(routes)

    @routes.post("/auth")
    @routes.input(Credentials)
    @routes.output(SignedIn)
    @routes.doc(
        responses=document_errors(
            WrongCredentials,
            OtpRequired,
            OtpInvalid,
            CrossSite,
            TooManyAttempts(30),
            HashingBusy,
            KeysUnavailable,
        )
    )
    def log_in(json_data: Credentials) -> Response:
        """Log in with username and password; with a guest's token, the customer gets the guest's cart."""
        session = accounts.log_in(
            database,
            passwords,
            issuer,
            json_data.username,
            json_data.password,
            json_data.otp,
            visitor=read_visitor(request),
            presented=read_presented(app, pages, request, strict=False),
        )
        return _answer(app, pages, session, 200)

    @routes.post("/auth/register")
    @routes.input(Registration)
    @routes.output(SignedIn, status_code=201)
    @routes.doc(
        responses=document_errors(
            TokenInvalid,
            Forbidden,
            CrossSite,
            UsernameTaken,
            AlreadyRegistered,
            WeakPassword("password", GUESSABLE),
            HashingBusy,
            KeysUnavailable,
        )
    )
    def register(json_data: Registration) -> Response:
        """Register as a customer; a guest's token lets the customer keep the guest's cart and orders."""
        session = accounts.register(
            database,
            passwords,
            issuer,
            json_data.username,
            json_data.password,
            json_data.email,
            visitor=read_visitor(request),
            presented=read_presented(app, pages, request, strict=True),
        )
        return _answer(app, pages, session, 201)

    @routes.post("/auth/guest")
    @routes.output(SignedIn, status_code=201)
    @routes.doc(responses=document_errors(CrossSite, KeysUnavailable))
    def start_guest_session() -> Response:
        """Start a session as a new guest."""
        return _answer(app, pages, accounts.start_guest_session(database, issuer, read_visitor(request)), 201)

    @routes.post("/auth/refresh")
    @body_optional
    @routes.input(RefreshRequest)
    @routes.output(SignedIn)
    @routes.doc(responses=document_errors(RefreshTokenInvalid, CrossSite, KeysUnavailable))
    def refresh(json_data: RefreshRequest) -> Response:
        """Exchange a refresh token, from the body or the cookie, for new tokens; it can be used once."""
        token = json_data.refresh_token
        if token is None:
            token = request.cookies.get(REFRESH_COOKIE, "") if pages.may_have_cookies(request) else ""
        return _answer(app, pages, sessions.refresh(database, issuer, token, read_visitor(request)), 200)

    @routes.errorhandler(RefreshTokenInvalid)
    def answer_refused(problem: RefreshTokenInvalid) -> Response:
        answer = problem_response(problem.status, problem.code, problem.detail)
        return _clear_cookies(app, pages, answer)

    return routes


def account_routes(app: ServiceFlask, pages: Pages, database: Database, issuer: TokenIssuer) -> APIBlueprint:
    """Return the routes for signed-in users."""
    routes = APIBlueprint("account", __name__)
    pages.guard(routes)

    @routes.get("/auth/me")
    @routes.output(OwnUser)
    @routes.doc(responses=document_errors(NotFound))
    def show_me() -> OwnUser:
        """Show the caller's account."""
        found = accounts.describe_account(database, issuer, require_caller())
        return OwnUser(
            **UserOut.model_validate(found.user).model_dump(),
            totp_required=found.totp_required,
            recovery_codes_left=found.recovery_codes_left,
        )

    @routes.post("/auth/logout")
    @routes.output({}, status_code=204)
    def log_out() -> Response:
        """End the session; all services refuse its tokens within five seconds."""
        sessions.log_out(database, require_caller())
        return _clear_cookies(app, pages, Response(status=204))

    return routes


def password_routes(
    app: ServiceFlask, pages: Pages, database: Database, passwords: Passwords, issuer: TokenIssuer
) -> APIBlueprint:
    """Return the route for users with a password."""
    routes = APIBlueprint("password", __name__)
    pages.guard(routes)

    @routes.post("/auth/password")
    @routes.input(PasswordChange)
    @routes.output(SignedIn)
    @routes.doc(
        responses=document_errors(
            NotFound,
            WrongPassword,
            WeakPassword("new_password", GUESSABLE),
            TooManyAttempts(30),
            HashingBusy,
        )
    )
    def change_password(json_data: PasswordChange) -> Response:
        """Change the password: all sessions end, and the response starts a new one."""
        session = accounts.change_password(
            database,
            passwords,
            issuer,
            json_data.current_password,
            json_data.new_password,
            caller=require_caller(),
            visitor=read_visitor(request),
        )
        return _answer(app, pages, session, 200)

    return routes


def _answer(app: ServiceFlask, pages: Pages, session: SignIn, status: int) -> Response:
    """Return the tokens in the body and, for the shop's own pages, as cookies."""
    body = SignedIn.model_validate(session, from_attributes=True).model_dump(exclude_none=True)
    response = jsonify(body)
    response.status_code = status
    if not pages.may_have_cookies(request):
        return response
    secure = app.settings.production
    response.set_cookie(
        app.cookie,
        session.access_token,
        max_age=session.expires_in,
        httponly=True,
        samesite="Lax",
        secure=secure,
    )
    response.set_cookie(
        REFRESH_COOKIE,
        session.refresh_token,
        max_age=session.refresh_expires_in,
        path="/auth",
        httponly=True,
        samesite="Strict",
        secure=secure,
    )
    return response


def _clear_cookies(app: ServiceFlask, pages: Pages, response: Response) -> Response:
    if not pages.may_have_cookies(request):
        return response
    secure = app.settings.production
    response.delete_cookie(app.cookie, httponly=True, samesite="Lax", secure=secure)
    response.delete_cookie(REFRESH_COOKIE, path="/auth", httponly=True, samesite="Strict", secure=secure)
    return response
