"""Access rules, and protection against cross-site requests."""

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from shared.access import refuse_cross_site


@pytest.mark.parametrize(
    ("role", "mine", "everything"),
    [
        *(("guest", 200, 403), ("customer", 200, 403), ("clerk", 200, 403), ("editor", 200, 403)),
        *(("admin", 200, 200), ("service", 403, 403)),
    ],
)
def test_each_role_has_access_to_its_own_routes(client, auth, role, mine, everything):
    headers = auth.bearer(role=role)
    assert client.get("/open", headers=headers).status_code == 200
    assert client.get("/mine", headers=headers).status_code == mine
    assert client.get("/all", headers=headers).status_code == everything


def test_without_a_token_only_public_routes_are_accessible(client):
    assert client.get("/open").status_code == 200
    for path in ("/mine", "/all", "/internal/x"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.json["code"] == "token_missing"


@pytest.mark.parametrize("header", ["Basic YWRtaW46YWRtaW4=", "Bearer x.y.z", "Token abc"])
def test_a_header_that_is_not_a_bearer_token_is_invalid(client, header):
    answer = client.get("/mine", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json["code"] == "token_invalid"


@pytest.mark.parametrize("header", ["", " ", "Bearer", "Bearer ", "Basic YWRtaW46YWRtaW4=", "Token abc"])
def test_a_header_without_a_bearer_token_is_ignored_if_there_is_a_cookie(app, auth, header):
    client = app.test_client()
    client.set_cookie("token", auth.token(sub="me"))
    assert client.get("/mine", headers={"Authorization": header}).json["sub"] == "me"
    # The cookie authenticates the request, so it is protected against cross-site requests.
    answer = client.post("/mine", headers={"Authorization": header, "Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.json["code"]) == (403, "cross_site")


def test_a_bearer_token_wins_over_the_cookie_even_if_it_is_bad(app, auth):
    client = app.test_client()
    client.set_cookie("token", auth.token(sub="me"))
    # Unicode whitespace is not whitespace in HTTP.
    for header in ("bearer x.y.z", "Bearer \xa0", "Bearer  \x85 "):
        assert client.get("/mine", headers={"Authorization": header}).json["code"] == "token_invalid", header
    assert client.get("/mine", headers=auth.bearer(sub="you")).json["sub"] == "you"


def test_an_internal_route_requires_the_token_of_a_listed_service(client, auth):
    assert client.get("/internal/x", headers=auth.service_bearer("catalog-service")).status_code == 200
    assert client.get("/internal/x", headers=auth.service_bearer("logs-service")).status_code == 403


def test_a_user_token_gives_no_access_to_an_internal_route(client, auth):
    assert client.get("/internal/x", headers=auth.bearer(role="admin")).status_code == 401
    forged = {"X-Service-Authorization": f"Bearer {auth.token(role='admin', client_id='catalog-service')}"}
    assert client.get("/internal/x", headers=forged).status_code == 403


def test_a_token_does_not_leak_into_the_next_request_of_its_thread(client, auth):
    assert client.get("/mine", headers=auth.bearer(sub="me")).json["sub"] == "me"
    assert client.get("/open").json["sub"] is None
    assert client.get("/caller").status_code == 401


def test_every_route_is_mounted_with_a_rule(app):
    blueprints = {rule.endpoint.rpartition(".")[0] for rule in app.url_map.iter_rules()}
    assert blueprints - {"openapi"} == set(app.access)


@pytest.mark.parametrize(
    ("scope", "mine", "some"),
    [("", 403, 403), ("things:write", 403, 403), ("logs:write things:read", 403, 200)],
)
def test_an_integrator_has_access_by_its_scopes_and_not_by_its_role(client, auth, scope, mine, some):
    headers = auth.bearer(sub="app-1", client_id="app-1", role="service", scope=scope)
    assert client.get("/mine", headers=headers).status_code == mine
    assert client.get("/some", headers=headers).status_code == some
    own = auth.bearer(sub="logs-service", client_id="logs-service", role="service")
    assert client.get("/some", headers=own).status_code == 200


def test_an_integrator_is_not_a_service(client, auth):
    assert client.get("/internal/x", headers=auth.service_bearer("app-orders-service")).status_code == 403


def test_a_session_that_ended_has_no_access(client, auth):
    token = auth.token()
    assert client.get("/mine", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    auth.sign_off(token)
    answer = client.get("/mine", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert answer.json["code"] == "token_invalid"
    forwarded = {**auth.service_bearer("orders-service"), "Authorization": f"Bearer {token}"}
    assert client.get("/internal/x", headers=forwarded).status_code == 401


HOME = {"Host": "shop.example:8080"}
SAME_SITE = {
    "neither header (curl, Postman)": {},
    "the shop's own page": {"Sec-Fetch-Site": "same-origin", "Origin": "http://shop.example:8080"},
    "typed by a person": {"Sec-Fetch-Site": "none"},
    "Sec-Fetch-Site wins over Origin": {
        "Sec-Fetch-Site": "same-origin",
        "Origin": "http://other.example",
    },
    "an older browser on the host it called": {"Origin": "http://shop.example:8080"},
    "TLS terminated before the gateway": {"Origin": "https://SHOP.example:8080"},
    "the public address": {"Origin": "http://localhost:8080"},
}
CROSS_SITE = {
    "another site": {"Sec-Fetch-Site": "cross-site", "Origin": "http://other.example"},
    "another host of the same site": {"Sec-Fetch-Site": "same-site"},
    "an unknown value": {"Sec-Fetch-Site": "sideways"},
    "an empty value": {"Sec-Fetch-Site": ""},
    "Sec-Fetch-Site wins over the shop's Origin": {
        "Sec-Fetch-Site": "cross-site",
        "Origin": "http://shop.example:8080",
    },
    "another origin": {"Origin": "http://other.example"},
    "another port": {"Origin": "http://shop.example:8081"},
    "no port": {"Origin": "http://shop.example"},
    "a host name with the same prefix": {"Origin": "http://shop.example.other.example:8080"},
    "a user name in front": {"Origin": "http://shop.example:8080@other.example"},
    "a page without an origin": {"Origin": "null"},
    "nonsense": {"Origin": "http://["},
    "an invalid port": {"Origin": "http://shop.example:port"},
    "empty": {"Origin": ""},
}


def call_with_cookie(client, auth, method, headers, path="/mine"):
    client.set_cookie("token", auth.token(), domain="shop.example")
    return client.open(path, method=method, headers={**HOME, **headers}, base_url="http://shop.example:8080")


def call_each(app, cases, call):
    """Make the calls of each case with a new client; return the unexpected answers by the case's name.

    `call` yields pairs of an answer and its expected status.
    """
    wrong = {}
    for name, headers in cases.items():
        for answer, expected in call(app.test_client(), headers):
            if answer.status_code != expected or (expected == 403 and answer.json["code"] != "cross_site"):
                wrong[f"{answer.request.method} {answer.request.path}: {name}"] = answer.status
    return wrong


def test_a_page_of_another_site_cannot_change_anything_with_the_cookie(app, auth):
    def call(client, headers):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            yield call_with_cookie(client, auth, method, headers), 403

    assert call_each(app, CROSS_SITE, call) == {}


def test_the_shop_s_own_pages_can_use_the_cookie(app, auth):
    def call(client, headers):
        yield call_with_cookie(client, auth, "POST", headers), 200

    assert call_each(app, SAME_SITE, call) == {}


def test_another_site_may_read_with_the_cookie(app, auth):
    def call(client, headers):
        yield call_with_cookie(client, auth, "GET", headers), 200
        yield call_with_cookie(client, auth, "OPTIONS", headers), 200

    assert call_each(app, CROSS_SITE, call) == {}


def test_a_call_with_a_bearer_token_may_come_from_any_site(app, auth):
    def call(client, headers):
        yield client.post("/mine", headers={**auth.bearer(), **headers}), 200
        yield call_with_cookie(client, auth, "POST", {**auth.bearer(), **headers}), 200

    assert call_each(app, CROSS_SITE, call) == {}


def test_the_origin_of_a_call_without_the_cookie_is_not_checked(app, auth):
    def call(client, headers):
        yield client.post("/open", headers=headers), 200
        yield client.post("/mine", headers=headers), 401
        inside = {**auth.service_bearer("orders-service"), **headers}
        yield client.post("/internal/x", headers=inside), 200

    assert call_each(app, CROSS_SITE, call) == {}


@pytest.mark.parametrize(
    ("public_url", "origin", "host"),
    [
        ("https://shop.example", "https://shop.example", "inside"),
        ("https://shop.example:443/", "https://shop.example", "inside"),
        ("https://elsewhere.example", "https://shop.example", "shop.example"),
        ("https://elsewhere.example", "http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_a_default_port_is_optional(public_url, origin, host):
    builder = EnvironBuilder(method="POST", headers={"Origin": origin, "Host": host})
    refuse_cross_site(Request(builder.get_environ()), public_url)
