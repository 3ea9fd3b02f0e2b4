"""Routes for the caller's two-factor authentication."""

from apiflask import APIBlueprint
from flask import request

from auth.errors import (
    HashingBusy,
    TooManyAttempts,
    TotpNotBegun,
    TotpOff,
    TotpOn,
    WrongCode,
    WrongPassword,
)
from auth.issuer import TokenIssuer
from auth.passwords import Passwords
from auth.routes.visitors import read_visitor
from auth.schemas.totp import RecoveryCodes, TotpBeginning, TotpConfirmation, TotpEnd, TotpSecret
from auth.use_cases import totp
from shared.context import require_caller
from shared.database import Database
from shared.errors import NotFound
from shared.openapi import document_errors


def totp_routes(database: Database, passwords: Passwords, issuer: TokenIssuer, host: str) -> APIBlueprint:
    """Return the routes for two-factor authentication; authenticator apps show the `host` of the shop."""
    routes = APIBlueprint("totp", __name__)

    @routes.post("/auth/totp")
    @routes.input(TotpBeginning)
    @routes.output(TotpSecret)
    @routes.doc(responses=document_errors(NotFound, TotpOn, WrongPassword, TooManyAttempts(30), HashingBusy))
    def begin_totp(json_data: TotpBeginning) -> TotpSecret:
        """Begin two-factor authentication: get a new secret, which takes effect once a code confirms it."""
        enrolment = totp.begin(
            database,
            passwords,
            host,
            json_data.current_password,
            caller=require_caller(),
            visitor=read_visitor(request),
        )
        return TotpSecret.model_validate(enrolment)

    @routes.post("/auth/totp/confirm")
    @routes.input(TotpConfirmation)
    @routes.output(RecoveryCodes)
    @routes.doc(responses=document_errors(NotFound, TotpOn, TotpNotBegun, WrongCode, TooManyAttempts(30)))
    def confirm_totp(json_data: TotpConfirmation) -> RecoveryCodes:
        """Turn two-factor authentication on and get recovery codes; all other sessions of the user end."""
        codes = totp.confirm(database, json_data.code, caller=require_caller(), visitor=read_visitor(request))
        return RecoveryCodes(recovery_codes=codes)

    @routes.delete("/auth/totp")
    @routes.input(TotpEnd)
    @routes.output({}, status_code=204)
    @routes.doc(
        responses=document_errors(
            NotFound, TotpOff, WrongPassword, WrongCode, TooManyAttempts(30), HashingBusy
        )
    )
    def end_totp(json_data: TotpEnd) -> tuple[str, int]:
        """Turn two-factor authentication off; if the user's role needs it, all sessions of the user end."""
        totp.turn_off(
            database,
            passwords,
            issuer,
            json_data.current_password,
            json_data.code,
            caller=require_caller(),
            visitor=read_visitor(request),
        )
        return "", 204

    return routes
