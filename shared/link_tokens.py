"""The tokens of mailed links: the mail has the token, the database only its hash."""

import hashlib
import secrets


def make_token() -> str:
    """Return a new token of 256 random bits, in base64url."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """Return the stored hash of a token; one round is enough for 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
