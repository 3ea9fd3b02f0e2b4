"""Routes for clerks and admins: users, their sessions and integrators' clients."""

from uuid import UUID

from apiflask import APIBlueprint
from flask import request

from auth.domain.accounts import parse_id
from auth.domain.clients import CLIENT_ID, Client
from auth.errors import HashingBusy, LastAdmin, NotRegistered, TooManyAttempts, WrongPassword
from auth.passwords import Passwords
from auth.routes.visitors import read_visitor
from auth.schemas.accounts import UserOut
from auth.schemas.admin import (
    ClientOut,
    ClientPage,
    ClientPatch,
    ClientWithSecret,
    NewClient,
    UserPage,
    UserPatch,
    UserQuery,
)
from auth.schemas.sessions import SessionList, SessionOut
from auth.use_cases import admin, clients
from shared.context import require_caller
from shared.database import Database
from shared.openapi import document_errors
from shared.pages import PageQuery, bad_cursor, decode_cursor, decode_id, encode_cursor, encode_id


def directory_routes(database: Database) -> APIBlueprint:
    """Return the routes that show users, also to clerks."""
    routes = APIBlueprint("directory", __name__, tag="Users")

    @routes.get("/auth/users")
    @routes.input(UserQuery, location="query")
    @routes.output(UserPage)
    def list_users(query_data: UserQuery) -> UserPage:
        """List or search users, newest first."""
        page, last = admin.list_users(
            database,
            q=query_data.q,
            role=query_data.role,
            disabled=query_data.disabled,
            limit=query_data.limit,
            before=decode_id(query_data.cursor),
        )
        return UserPage(data=[UserOut.model_validate(user) for user in page], next=encode_id(last))

    @routes.get("/auth/users/<uuid:user_id>")
    @routes.output(UserOut)
    def show_user(user_id: UUID) -> UserOut:
        """Show a user."""
        return UserOut.model_validate(admin.find_user(database, user_id))

    return routes


def user_routes(database: Database, passwords: Passwords) -> APIBlueprint:
    """Return the routes that change users and end their sessions."""
    routes = APIBlueprint("users", __name__)

    @routes.patch("/auth/users/<uuid:user_id>")
    @routes.input(UserPatch)
    @routes.output(UserOut)
    @routes.doc(
        responses=document_errors(NotRegistered, LastAdmin, WrongPassword, TooManyAttempts(30), HashingBusy)
    )
    def change_user(user_id: UUID, json_data: UserPatch) -> UserOut:
        """Change a user's role, or disable or enable the account; a change ends all sessions of the user.

        A `role` needs your own password as `current_password`.
        """
        changed = admin.change_user(
            database,
            passwords,
            user_id,
            json_data.changes,
            json_data.current_password,
            caller=require_caller(),
            visitor=read_visitor(request),
        )
        return UserOut.model_validate(changed)

    @routes.get("/auth/users/<uuid:user_id>/sessions")
    @routes.output(SessionList)
    def list_sessions(user_id: UUID) -> SessionList:
        """List a user's live sessions."""
        found = admin.list_sessions(database, user_id)
        return SessionList(data=[SessionOut.model_validate(session) for session in found])

    @routes.delete("/auth/users/<uuid:user_id>/sessions")
    @routes.output({}, status_code=204)
    def end_sessions(user_id: UUID) -> tuple[str, int]:
        """Sign a user out everywhere."""
        admin.end_all_sessions(database, user_id)
        return "", 204

    @routes.delete("/auth/users/<uuid:user_id>/sessions/<uuid:session_id>")
    @routes.output({}, status_code=204)
    def end_session(user_id: UUID, session_id: UUID) -> tuple[str, int]:
        """Sign a user out on one device."""
        admin.end_one_session(database, user_id, session_id)
        return "", 204

    return routes


def client_routes(database: Database, token_seconds: int) -> APIBlueprint:
    """Return the routes for integrators' clients; `token_seconds` is the life of their tokens."""
    routes = APIBlueprint("clients", __name__)

    @routes.get("/auth/clients")
    @routes.input(PageQuery, location="query")
    @routes.output(ClientPage)
    def list_clients(query_data: PageQuery) -> ClientPage:
        """List clients, newest first."""
        page, last = clients.list_clients(
            database, limit=query_data.limit, before=_read_cursor(query_data.cursor)
        )
        following = None if last is None else encode_cursor(last)
        return ClientPage(data=[ClientOut.model_validate(client) for client in page], next=following)

    @routes.post("/auth/clients")
    @routes.input(NewClient)
    @routes.output(ClientWithSecret, status_code=201)
    def create_client(json_data: NewClient) -> tuple[ClientWithSecret, int, dict[str, str]]:
        """Create a client for an integrator; only this response contains its secret."""
        client, secret = clients.create_client(
            database, json_data.name, list(json_data.scopes), parse_id(require_caller().sub)
        )
        return _with_secret(client, secret), 201, {"Location": f"/auth/clients/{client.id}"}

    @routes.get("/auth/clients/<client_id>")
    @routes.output(ClientOut)
    def show_client(client_id: str) -> ClientOut:
        """Show a client."""
        return ClientOut.model_validate(clients.find_client(database, client_id))

    @routes.patch("/auth/clients/<client_id>")
    @routes.input(ClientPatch)
    @routes.output(ClientOut)
    def change_client(client_id: str, json_data: ClientPatch) -> ClientOut:
        """Rename, disable or enable a client, or change its scopes; lost permissions end its tokens."""
        changed = clients.change_client(database, client_id, json_data.changes, token_seconds)
        return ClientOut.model_validate(changed)

    @routes.delete("/auth/clients/<client_id>")
    @routes.output({}, status_code=204)
    def delete_client(client_id: str) -> tuple[str, int]:
        """Delete a client; its tokens end at once."""
        clients.delete_client(database, client_id, token_seconds)
        return "", 204

    @routes.post("/auth/clients/<client_id>/secret")
    @routes.output(ClientWithSecret)
    def replace_secret(client_id: str) -> ClientWithSecret:
        """Replace a client's secret, which only this response contains; its tokens end at once."""
        return _with_secret(*clients.replace_secret(database, client_id, token_seconds))

    return routes


def _with_secret(client: Client, secret: str) -> ClientWithSecret:
    return ClientWithSecret(**ClientOut.model_validate(client).model_dump(), client_secret=secret)


def _read_cursor(cursor: str | None) -> str | None:
    """Return the id of the last client on the previous page; raise ValidationFailed for a bad cursor."""
    if cursor is None:
        return None
    position = decode_cursor(cursor)
    if not isinstance(position, str) or not CLIENT_ID.fullmatch(position):
        raise bad_cursor()
    return position
