"""A token is verified or refused, and never causes a crash."""

import contextlib
import json
import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import SignOffsUnavailable, TokenInvalid
from shared.tokens import TokenVerifier
from tests.broken_tokens import break_token, encode, write
from tests.fakes import ISSUER, FakeAuth

AUTH = FakeAuth()
VERIFIER = TokenVerifier(AUTH, ISSUER)
GOOD_HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": AUTH.kid}
GOOD_CLAIMS = jwt.decode(AUTH.token(), options={"verify_signature": False})


def sign(claims: dict) -> str:
    """Return a token with any claims and a valid signature, including those that PyJWT refuses to encode."""
    payload = json.dumps(claims).encode()
    return jwt.PyJWS().encode(payload, AUTH.private_key, algorithm="ES256", headers=GOOD_HEADER)


BAD = {
    **break_token(AUTH),
    "empty": "",
    "words": "not a token",
    "a key id that is no text": write(GOOD_HEADER | {"kid": 7}, GOOD_CLAIMS),
    "issued in the future": AUTH.token(iat=int(time.time()) + 3600),
    "an unknown role": AUTH.token(role="root"),
    "a role that is no text": AUTH.token(role=["admin"]),
    "a scope that is no text": AUTH.token(scope=["everything"]),
    "a header nested without end": f"{encode(b'[' * 3000)}.e30.e30",
    "a header that is a list": write(["ES256"], GOOD_CLAIMS),
    "a header in another alphabet": "é" + AUTH.token(),
    "padded": AUTH.token() + "=",
    "a line break in the header": AUTH.token()[:4] + "\n" + AUTH.token()[4:],
    "four parts": AUTH.token() + ".e30",
    "a critical extension": AUTH.token(header={"crit": ["exp"], "exp": 1}),
    **{
        f"without {claim}": AUTH.token(**{claim: None})
        for claim in ("exp", "iat", "sub", "jti", "role", "client_id")
    },
}


@pytest.mark.parametrize("token", BAD.values(), ids=BAD.keys())
def test_it_is_refused(token):
    with pytest.raises(TokenInvalid):
        VERIFIER.verify(token)


BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def spell_otherwise(token: str) -> dict[str, str]:
    """Return other spellings that Python's base64 decoder reads as the same token, by description."""
    parts = token.split(".")
    spellings = {}
    for number, name in enumerate(("header", "claims", "signature")):
        part = parts[number]
        written = {"=": f"{part}=", "==": f"{part}==", "====": f"{part}===="}
        written |= {repr(sign): f"{part[:9]}{sign}{part[9:]}" for sign in "\n !*~é"}
        written |= {"standard alphabet": part.translate(str.maketrans("-_", "+/"))}
        if len(part) % 4:
            # The last character has two or four unused bits.
            unused = 2 ** (2 if len(part) % 4 == 3 else 4)
            first = BASE64URL.index(part[-1]) // unused * unused
            written |= {sign: part[:-1] + sign for sign in BASE64URL[first : first + unused]}
        for how, text in written.items():
            spellings[f"{name}, {how}"] = ".".join([*parts[:number], text, *parts[number + 1 :]])
    return {how: text for how, text in spellings.items() if text != token}


def test_a_token_has_one_spelling():
    token = next(token for token in iter(AUTH.token, None) if set("-_") & set(token.rpartition(".")[2]))
    VERIFIER.verify(token)
    accepted = []
    for how, spelling in spell_otherwise(token).items():
        for verifier in (VERIFIER, TokenVerifier(AUTH, ISSUER)):
            with contextlib.suppress(TokenInvalid):
                verifier.verify(spelling)
                accepted.append(how)
    assert accepted == []


@pytest.mark.parametrize("claim", ["sid", "jti"])
def test_a_signed_off_token_is_refused(claim):
    auth = FakeAuth()
    verifier = TokenVerifier(auth, ISSUER)
    token, other = auth.token(), auth.token()
    verifier.verify(token)
    auth.sign_off(token, claim=claim)
    with pytest.raises(TokenInvalid):
        verifier.verify(token)
    verifier.verify(other)


def test_the_end_of_a_session_ends_all_its_tokens():
    auth = FakeAuth()
    first, second = auth.token(sid="s"), auth.token(sid="s")
    auth.sign_off(first)
    with pytest.raises(TokenInvalid):
        TokenVerifier(auth, ISSUER).verify(second)


def test_without_a_list_a_valid_token_is_not_called_invalid_but_a_bad_one_is():
    auth = FakeAuth()
    auth.sign_offs.is_away = True
    verifier = TokenVerifier(auth, ISSUER)
    with pytest.raises(SignOffsUnavailable):
        verifier.verify(auth.token())
    with pytest.raises(TokenInvalid):
        verifier.verify(auth.token(aud="elsewhere"))


def test_a_token_without_a_session_is_signed_off_by_its_own_id():
    auth = FakeAuth()
    token = auth.token(sid=None)
    assert TokenVerifier(auth, ISSUER).verify(token).session is None
    auth.sign_off(token, claim="jti")
    with pytest.raises(TokenInvalid):
        TokenVerifier(auth, ISSUER).verify(token)


@pytest.fixture
def signatures(monkeypatch) -> list[str]:
    """The tokens whose signatures are verified."""
    verified: list[str] = []
    decode = jwt.decode

    def note(token, *arguments, **options):
        verified.append(token)
        return decode(token, *arguments, **options)

    monkeypatch.setattr("shared.tokens.jwt.decode", note)
    return verified


@pytest.mark.parametrize("audience", ["shopfleet", ["elsewhere", "shopfleet"]])
def test_the_signature_of_a_token_is_verified_once(signatures, audience):
    verifier = TokenVerifier(AUTH, ISSUER)
    tokens = [AUTH.token(aud=audience) for _ in range(2)]
    callers = [verifier.verify(token) for token in tokens * 3]
    assert signatures == tokens
    assert callers[:2] == callers[2:4] == callers[4:]


def test_a_cached_token_expires(monkeypatch):
    verifier, token = TokenVerifier(AUTH, ISSUER), AUTH.token(exp=int(time.time()) + 100)
    verifier.verify(token)
    later = time.time() + 104
    monkeypatch.setattr("shared.tokens.time.time", lambda: later)
    verifier.verify(token)
    later += 2
    with pytest.raises(TokenInvalid):
        verifier.verify(token)


def test_a_cached_token_ends_with_its_key():
    auth = FakeAuth()
    verifier, token = TokenVerifier(auth, ISSUER), auth.token()
    verifier.verify(token)
    first, auth.private_key = auth.private_key, FakeAuth().private_key
    with pytest.raises(TokenInvalid):
        verifier.verify(token)
    auth.private_key = first
    verifier.verify(token)
    auth.kid = "another"
    with pytest.raises(TokenInvalid):
        verifier.verify(token)


def test_a_cached_token_with_another_signature_is_refused():
    verifier, token, other = TokenVerifier(AUTH, ISSUER), AUTH.token(), AUTH.token()
    verifier.verify(token)
    verifier.verify(other)
    body, signature = token.rpartition(".")[0], other.rpartition(".")[2]
    with pytest.raises(TokenInvalid):
        verifier.verify(f"{body}.{signature}")


def test_the_cache_of_tokens_is_limited(signatures, monkeypatch):
    monkeypatch.setattr("shared.tokens.MOST_VERIFIED", 2)
    verifier = TokenVerifier(AUTH, ISSUER)
    first, second, third = (AUTH.token() for _ in range(3))
    for token in (first, second, first, third, first, second):
        verifier.verify(token)
    assert signatures == [first, second, third, second]


def test_a_valid_token_has_its_caller():
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
def test_any_other_text_is_refused(text):
    with pytest.raises(TokenInvalid):
        VERIFIER.verify(text)


@given(
    header=st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
    claims=st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.integers(), st.text(max_size=5))),
)
def test_any_claims_with_a_bad_signature_are_refused(header, claims):
    with pytest.raises(TokenInvalid):
        VERIFIER.verify(write(header, claims, b"signature"))


@given(
    changed=st.dictionaries(
        st.sampled_from(["kid", "typ", "alg", "crit"]), st.one_of(st.none(), st.integers(), st.text())
    )
)
def test_any_changed_header_with_a_bad_signature_is_refused(changed):
    with pytest.raises(TokenInvalid):
        VERIFIER.verify(write(GOOD_HEADER | changed, GOOD_CLAIMS, b"signature"))


@given(place=st.integers(min_value=0), character=st.characters())
def test_a_token_with_any_character_changed_is_refused(place, character):
    token = AUTH.token()
    place %= len(token)
    if token[place] != character:
        with pytest.raises(TokenInvalid):
            VERIFIER.verify(token[:place] + character + token[place + 1 :])


@given(
    changed=st.dictionaries(
        st.sampled_from(
            ["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "sid", "role", "scope", "client_id"]
        ),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
            lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner)),
            max_leaves=5,
        ),
        min_size=1,
    )
)
def test_any_signed_claims_are_accepted_or_refused_without_a_crash(changed):
    try:
        caller = VERIFIER.verify(sign(GOOD_CLAIMS | changed))
    except TokenInvalid:
        return
    assert caller.role in {"guest", "customer", "admin", "service"}
    assert all(
        isinstance(text, str) for text in (caller.sub, caller.client_id, caller.scope, caller.token_id)
    )
    assert isinstance(caller.expires_at, int)
