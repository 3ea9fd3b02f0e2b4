"""Routes for email addresses and for passwords that their owners forgot."""

from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request

from auth.domain.credentials import GUESSABLE
from auth.errors import HashingBusy, LinkInvalid, TooManyAttempts, WeakPassword
from auth.passwords import Passwords
from auth.routes.visitors import Pages, read_visitor
from auth.schemas.accounts import EmailIn, EmailOut, GuestsOut, LinkToken, PasswordReset, UsersIn
from auth.use_cases import email
from shared.context import require_caller
from shared.database import Database
from shared.errors import CrossSite, NotFound
from shared.openapi import document_errors


def address_routes(pages: Pages, database: Database) -> APIBlueprint:
    """Return the route by which users set their address."""
    routes = APIBlueprint("address", __name__)
    pages.guard(routes)

    @routes.post("/auth/email")
    @routes.input(EmailIn)
    @routes.output(EmailOut, status_code=202)
    @routes.doc(responses=document_errors(NotFound, TooManyAttempts(30)))
    def set_email(json_data: EmailIn) -> EmailOut:
        """Set the address, and mail a link that verifies it; until then a verified address stays."""
        email.request_verification(database, require_caller(), json_data.email, read_visitor(request))
        return EmailOut(email=json_data.email)

    return routes


def link_routes(pages: Pages, database: Database, passwords: Passwords) -> APIBlueprint:
    """Return the routes that mail links and take their tokens; they need no session."""
    routes = APIBlueprint("links", __name__)
    pages.guard(routes)

    @routes.post("/auth/email/verify")
    @routes.input(LinkToken)
    @routes.output(EmailOut)
    @routes.doc(responses=document_errors(LinkInvalid, CrossSite))
    def verify_email(json_data: LinkToken) -> EmailOut:
        """Verify an address by the token of a mailed link, which works once within 24 hours."""
        return EmailOut(email=email.verify_email(database, json_data.token))

    @routes.post("/auth/password/forgot")
    @routes.input(EmailIn)
    @routes.output(EmailOut, status_code=202)
    @routes.doc(responses=document_errors(CrossSite, TooManyAttempts(30)))
    def request_reset(json_data: EmailIn) -> EmailOut:
        """Mail a link to set a new password; the answer is the same if there is no such account."""
        email.request_reset(database, json_data.email, read_visitor(request))
        return EmailOut(email=json_data.email)

    @routes.post("/auth/password/reset")
    @routes.input(PasswordReset)
    @routes.output({}, status_code=204)
    @routes.doc(
        responses=document_errors(LinkInvalid, CrossSite, WeakPassword("password", GUESSABLE), HashingBusy)
    )
    def reset_password(json_data: PasswordReset) -> Response:
        """Set a new password by the token of a mailed link, which works once within one hour.

        It also verifies the address, and ends all sessions.
        """
        email.reset_password(database, passwords, json_data.token, json_data.password, read_visitor(request))
        return Response(status=204)

    return routes


def verified_email_routes(database: Database) -> APIBlueprint:
    """Return the route by which orders-service finds what a customer ordered as a guest."""
    routes = APIBlueprint("verified_emails", __name__)

    @routes.get("/internal/users/<uuid:user_id>/email")
    @routes.output(EmailOut)
    def show_verified_email(user_id: UUID) -> EmailOut:
        """Show the verified address of a user."""
        return EmailOut(email=email.find_verified_email(database, user_id))

    @routes.post("/internal/users/guests")
    @routes.input(UsersIn)
    @routes.output(GuestsOut)
    def find_guests(json_data: UsersIn) -> GuestsOut:
        """Return those of the users that have no account; a deleted guest has none either."""
        return GuestsOut(guests=email.find_guests(database, json_data.users))

    return routes
