"""What auth-service does, a function each."""

import hmac

from auth import repository
from auth.domain import Session, User
from auth.errors import InvalidClient, OAuthError, WrongCredentials
from auth.issuer import TokenIssuer
from auth.passwords import Passwords
from shared.database import Database
from shared.errors import NotFound
from shared.setup_secrets import hash_secret


def log_in(
    database: Database, passwords: Passwords, issuer: TokenIssuer, username: str, password: str
) -> Session:
    """Return a session for the right pair; raise WrongCredentials for any other, in the same time."""
    with database.transaction() as connection:
        user = repository.find_user_by_name(connection, username)
    # The hash is checked outside of the transaction: a connection is not held while a processor works.
    if not passwords.matches(user.password_hash if user else None, password) or user is None or user.disabled:
        raise WrongCredentials
    return issuer.issue(sub=str(user.id), role=user.role)


def enter_as_guest(database: Database, issuer: TokenIssuer) -> Session:
    """Return a session for somebody new who gives no name."""
    with database.transaction() as connection:
        user_id = repository.insert_guest(connection)
    return issuer.issue(sub=str(user_id), role="guest")


def find_user(database: Database, user_id: str) -> User:
    """Return the user; raise NotFound if the account is gone."""
    with database.transaction() as connection:
        user = repository.find_user(connection, user_id)
    if user is None:
        raise NotFound
    return user


def grant_client_credentials(
    clients: dict[str, str], issuer: TokenIssuer, grant_type: str | None, client_id: str, client_secret: str
) -> Session:
    """Return a token for a service of ours (RFC 6749, section 4.4); raise OAuthError otherwise."""
    known = clients.get(client_id, "")
    if not hmac.compare_digest(known, hash_secret(client_secret)):
        raise InvalidClient
    if not grant_type:
        raise OAuthError("invalid_request", "grant_type is missing.")
    if grant_type != "client_credentials":
        raise OAuthError("unsupported_grant_type", "Only client_credentials is granted here.")
    return issuer.issue(sub=client_id, role="service", client_id=client_id)


def issue_own_token(issuer: TokenIssuer, service: str) -> str:
    """Return a token for auth-service's own calls: it has no credentials to show to itself."""
    return issuer.issue(sub=service, role="service", client_id=service).access_token
