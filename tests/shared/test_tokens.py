"""A token is ours and live, or it is refused; never a crash."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import TokenInvalid
from shared.testing import ISSUER, FakeAuth
from shared.tokens import TokenVerifier

AUTH = FakeAuth()
VERIFIER = TokenVerifier(AUTH, ISSUER)
PEM = AUTH.private_key.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


GOOD_HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": AUTH.kid}


def encode(contents: bytes) -> str:
    return base64.urlsafe_b64encode(contents).rstrip(b"=").decode()


def make_by_hand(header: object, claims: object, signature: bytes = b"") -> str:
    """Return what PyJWT refuses to make."""
    return f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}.{encode(signature)}"


def sign_with_the_public_key() -> str:
    head = make_by_hand(GOOD_HEADER | {"alg": "HS256"}, GOOD_CLAIMS).rstrip(".")
    return f"{head}.{encode(hmac.new(PEM, head.encode(), hashlib.sha256).digest())}"


GOOD_CLAIMS = jwt.decode(AUTH.token(), options={"verify_signature": False})


STRANGER = ec.generate_private_key(ec.SECP256R1())
BAD = {
    "empty": "",
    "words": "not a token",
    "unsigned (alg none)": make_by_hand(GOOD_HEADER | {"alg": "none"}, GOOD_CLAIMS),
    "HMAC with the public key": sign_with_the_public_key(),
    "another's signature": AUTH.token(key=STRANGER),
    "an embedded key": AUTH.token(
        key=STRANGER, header={"jwk": json.loads(jwt.algorithms.ECAlgorithm.to_jwk(STRANGER.public_key()))}
    ),
    "a key's address": AUTH.token(key=STRANGER, header={"jku": "http://127.0.0.1:9/keys"}),
    "an unknown key id": AUTH.token(header={"kid": "unknown"}),
    "a key id that is no text": make_by_hand(GOOD_HEADER | {"kid": 7}, GOOD_CLAIMS),
    "another type": AUTH.token(header={"typ": "JWT"}),
    "another issuer": AUTH.token(iss="http://elsewhere"),
    "another audience": AUTH.token(aud="elsewhere"),
    "expired": AUTH.token(exp=int(time.time()) - 60),
    "not yet valid": AUTH.token(nbf=int(time.time()) + 3600),
    "issued in the future": AUTH.token(iat=int(time.time()) + 3600),
    "an unknown role": AUTH.token(role="root"),
    "a role that is no text": AUTH.token(role=["admin"]),
    "a scope that is no text": AUTH.token(scope=["everything"]),
    "10 KB long": AUTH.token(scope="x" * 10_000),
    **{
        f"without {claim}": AUTH.token(**{claim: None})
        for claim in ("exp", "iat", "sub", "jti", "role", "client_id")
    },
}


@pytest.mark.parametrize("token", BAD.values(), ids=BAD.keys())
def test_it_is_refused(token):
    with pytest.raises(TokenInvalid):
        VERIFIER.verify(token)


def test_a_good_one_tells_who_calls():
    caller = VERIFIER.verify(AUTH.token(sub="me", role="admin", scope="logs:write"))
    assert (caller.sub, caller.role, caller.client_id, caller.scope) == ("me", "admin", "shop", "logs:write")
    assert caller.token not in repr(caller)


@given(cut=st.integers(min_value=0, max_value=400))
def test_a_token_cut_anywhere_is_refused(cut):
    token = AUTH.token()
    if cut < len(token):
        with pytest.raises(TokenInvalid):
            VERIFIER.verify(token[:cut])


@given(text=st.text())
def test_any_text_at_all_is_refused(text):
    with pytest.raises(TokenInvalid):
        VERIFIER.verify(text)


@given(
    header=st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
    claims=st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.integers(), st.text(max_size=5))),
)
def test_any_claims_that_are_not_ours_are_refused(header, claims):
    with pytest.raises(TokenInvalid):
        VERIFIER.verify(make_by_hand(header, claims, b"signature"))


@given(
    changed=st.dictionaries(
        st.sampled_from(["kid", "typ", "alg", "crit"]), st.one_of(st.none(), st.integers(), st.text())
    )
)
def test_a_header_with_anything_else_in_it_is_refused(changed):
    with pytest.raises(TokenInvalid):
        VERIFIER.verify(make_by_hand(GOOD_HEADER | changed, GOOD_CLAIMS, b"signature"))
