"""No input causes a 500: malformed requests get a proper error response."""

import string

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from auth.domain.credentials import NAME_LENGTH, choose_name, find_weakness, normalize_name
from tests.auth.conftest import EVE, claims_of

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["username", "password", "email", "current_password", "new_password", "refresh_token", "otp", "code"]
bodies = any_json | st.dictionaries(st.sampled_from(FIELDS), any_json, max_size=4)
headers = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80)


def is_proper(answer):
    if answer.status_code < 400:
        return answer.status_code in {200, 201, 204}
    return answer.status_code < 500 and answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/auth", "/auth/register", "/auth/refresh", "/auth/password", "/auth/guest", "/auth/logout"]
)
def test_any_body_gets_a_proper_response(app, path):
    @MANY
    @given(body=bodies)
    def check(body):
        assert is_proper(app.test_client().post(path, json=body))

    check()


def test_any_body_of_a_signed_in_user_gets_a_proper_response(client):
    client.post("/auth/register", json=EVE)

    @MANY
    @given(body=bodies)
    def check(body):
        for method, path in (
            ("POST", "/auth/totp"),
            ("POST", "/auth/totp/confirm"),
            ("DELETE", "/auth/totp"),
        ):
            assert is_proper(client.open(path, method=method, json=body))

    check()


@pytest.mark.parametrize("path", ["/auth", "/auth/register", "/auth/refresh"])
def test_bytes_that_are_not_json_get_a_proper_response(app, path):
    @MANY
    @given(body=st.binary(max_size=200))
    def check(body):
        answer = app.test_client().post(path, data=body, content_type="application/json")
        assert answer.status_code in {400, 401, 422}
        assert is_proper(answer)

    check()


def test_json_with_invalid_text_gets_a_proper_response(client):
    bodies = [
        b'{"username": "\\ud800", "password": "x"}',
        b'{"username": "x", "password": "\\udfff\\ud800"}',
        b'{"username": NaN}',
        b"[" * 100_000,
        b'{"refresh_token": "\\ud800"}',
    ]
    wrong = {}
    for path in ("/auth", "/auth/register", "/auth/refresh"):
        for body in bodies:
            answer = client.post(path, data=body, content_type="application/json")
            if answer.status_code not in {400, 401, 413, 422} or not is_proper(answer):
                wrong[path, body[:50]] = answer.text
    assert wrong == {}


def test_any_header_gets_a_proper_response(app):
    names = st.sampled_from(
        ["Authorization", "Cookie", "X-Forwarded-For", "User-Agent", "Origin", "Sec-Fetch-Site"]
    )
    paths = st.sampled_from(["/auth/refresh", "/auth/guest", "/auth/logout", "/auth/me"])

    @MANY
    @given(
        sent=st.dictionaries(names, headers, max_size=3),
        path=paths,
    )
    def check(sent, path):
        client = app.test_client(use_cookies=False)
        answer = client.open(path, method="GET" if path == "/auth/me" else "POST", headers=sent)
        assert is_proper(answer)

    check()


def test_any_cookie_gets_a_proper_response(app):
    @MANY
    @given(token=headers, refresh=headers)
    def check(token, refresh):
        client = app.test_client(use_cookies=False)
        cookie = {"Cookie": f'token="{token}"; refresh="{refresh}"'}
        assert is_proper(client.post("/auth/refresh", headers=cookie))
        assert is_proper(client.post("/auth", json={"username": "x", "password": "y"}, headers=cookie))
        assert is_proper(client.get("/auth/me", headers=cookie))

    check()


def test_each_registered_user_can_log_in(app):
    printable = st.text(max_size=30)

    @MANY
    @given(username=printable, password=st.text(min_size=6, max_size=30))
    def check(username, password):
        pair = {"username": username, "password": password}
        address = {"X-Forwarded-For": f"2001:db8:{abs(hash(username)) % 65536:x}::1"}
        client = app.test_client(use_cookies=False)
        registered = client.post("/auth/register", json=pair, headers=address)
        assert registered.status_code in {201, 409, 422}
        if registered.status_code == 201:
            again = client.post("/auth", json=pair, headers=address)
            assert again.status_code == 200
            tokens = [answer.json["access_token"] for answer in (registered, again)]
            assert len({claims_of(token)["sub"] for token in tokens}) == 1

    check()


@example("og\u1680ham")  # The only space that NFKC does not change.
@given(st.text(max_size=200))
def test_an_accepted_name_is_in_its_normal_form(text):
    try:
        name = choose_name(text)
    except ValueError:
        return
    assert normalize_name(name) == name
    assert choose_name(name) == name
    assert len(name) in NAME_LENGTH
    assert name.isprintable()
    assert name == name.strip()


@given(st.text(st.sampled_from(string.printable), min_size=0, max_size=1100))
def test_the_reason_for_a_refused_password_does_not_contain_it(password):
    weakness = find_weakness(password, EVE["username"], None)
    assert weakness is None or password not in weakness or len(password) < 8
