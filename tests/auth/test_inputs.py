"""Whatever is sent instead of credentials is refused in order: no answer is a 500."""

import string

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from auth.domain import NAME_LENGTH, choose_name, find_weakness, normalize_name
from tests.auth.conftest import EVE, claims_of

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["username", "password", "email", "current_password", "new_password", "refresh_token"]
bodies = anything | st.dictionaries(st.sampled_from(FIELDS), anything, max_size=4)
headers = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80)


def is_in_order(answer):
    if answer.status_code < 400:
        return answer.status_code in {200, 201, 204}
    return answer.status_code < 500 and answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/auth", "/auth/register", "/auth/refresh", "/auth/password", "/auth/guest", "/auth/logout"]
)
def test_any_body_gets_an_answer_in_order(app, path):
    @MANY
    @given(body=bodies)
    def check(body):
        assert is_in_order(app.test_client().post(path, json=body))

    check()


@pytest.mark.parametrize("path", ["/auth", "/auth/register", "/auth/refresh"])
def test_bytes_that_are_no_json_get_an_answer_in_order(app, path):
    @MANY
    @given(body=st.binary(max_size=200))
    def check(body):
        answer = app.test_client().post(path, data=body, content_type="application/json")
        assert answer.status_code in {400, 401, 422}
        assert is_in_order(answer)

    check()


def test_json_that_no_text_can_hold_gets_an_answer_in_order(client):
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
            if answer.status_code not in {400, 401, 413, 422} or not is_in_order(answer):
                wrong[path, body[:50]] = answer.text
    assert wrong == {}


def test_any_header_gets_an_answer_in_order(app):
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
        assert is_in_order(answer)

    check()


def test_any_cookie_gets_an_answer_in_order(app):
    @MANY
    @given(token=headers, refresh=headers)
    def check(token, refresh):
        client = app.test_client(use_cookies=False)
        cookie = {"Cookie": f'token="{token}"; refresh="{refresh}"'}
        assert is_in_order(client.post("/auth/refresh", headers=cookie))
        assert is_in_order(client.post("/auth", json={"username": "x", "password": "y"}, headers=cookie))
        assert is_in_order(client.get("/auth/me", headers=cookie))

    check()


def test_whoever_can_register_can_log_in(app):
    printable = st.text(max_size=30)

    @MANY
    @given(username=printable, password=st.text(min_size=6, max_size=30))
    def check(username, password):
        pair = {"username": username, "password": password}
        address = {"X-Forwarded-For": f"2001:db8:{abs(hash(username)) % 65536:x}::1"}
        client = app.test_client(use_cookies=False)
        made = client.post("/auth/register", json=pair, headers=address)
        assert made.status_code in {201, 409, 422}
        if made.status_code == 201:
            back = client.post("/auth", json=pair, headers=address)
            assert back.status_code == 200
            tokens = [answer.json["access_token"] for answer in (made, back)]
            assert len({claims_of(token)["sub"] for token in tokens}) == 1

    check()


@example("og\u1680ham")  # The one space that NFKC leaves as it is.
@given(st.text(max_size=200))
def test_a_name_that_may_be_had_is_written_in_its_one_way(text):
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
def test_a_password_is_refused_for_a_reason_or_not_at_all(password):
    weakness = find_weakness(password, EVE["username"], None)
    assert weakness is None or password not in weakness or len(password) < 8
