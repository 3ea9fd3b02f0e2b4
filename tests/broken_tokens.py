"""Tokens that are almost valid, and must be refused (RFC 8725)."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tests.fakes import FakeAuth

FOREIGN_KEY = ec.generate_private_key(ec.SECP256R1())
FOREIGN_JWK = json.loads(ECAlgorithm.to_jwk(FOREIGN_KEY.public_key()))


def encode(contents: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(contents).rstrip(b"=").decode()


def write(header: object, claims: object, signature: bytes = b"") -> str:
    """Return a token that PyJWT refuses to create."""
    return f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}.{encode(signature)}"


def break_token(auth: FakeAuth, **claims: Any) -> dict[str, str]:
    """Return broken variants of a valid token with these claims, by their description."""
    now = int(time.time())
    good = auth.token(**claims)
    header, payload = jwt.get_unverified_header(good), jwt.decode(good, options={"verify_signature": False})

    def make(**changed: Any) -> str:
        return auth.token(**{**claims, **changed})

    return {
        "unsigned (alg none)": write(header | {"alg": "none"}, payload),
        "unsigned, in capitals": write(header | {"alg": "NONE"}, payload),
        "without a signature": good.rpartition(".")[0] + ".",
        "HS256 with the public key": _sign_with_the_public_key(auth, header, payload),
        "signed with a foreign key": make(key=FOREIGN_KEY),
        "an embedded key (jwk)": make(key=FOREIGN_KEY, header={"jwk": FOREIGN_JWK}),
        "a key's address (jku)": make(key=FOREIGN_KEY, header={"jku": "http://127.0.0.1:9/keys"}),
        "an unknown key id": make(header={"kid": "unknown"}),
        "another type": make(header={"typ": "JWT"}),
        "another issuer": make(iss="http://elsewhere"),
        "another audience": make(aud="elsewhere"),
        "expired": make(exp=now - 60, iat=now - 960),
        "not yet valid": make(nbf=now + 3600),
        "another role, the same signature": _change_claims(good, payload | {"role": "admin", "scope": "x"}),
        "truncated": good[:-5],
        "10 KB long": make(padding="x" * 10_000),
    }


def _sign_with_the_public_key(auth: FakeAuth, header: dict[str, Any], claims: dict[str, Any]) -> str:
    pem = auth.private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = write(header | {"alg": "HS256"}, claims).rpartition(".")[0]
    return f"{signed}.{encode(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}"


def _change_claims(token: str, claims: dict[str, Any]) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{encode(json.dumps(claims).encode())}.{signature}"
