"""Pages of other sites neither set nor clear cookies in the visitor's browser."""

import pytest

from tests.auth.conftest import ADMIN, EVE, bearer, claims_of

SHOP = "http://localhost:8080"
PARTNER = "https://app.example"
FOREIGN = {
    "another site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    "a neighbour": {"Sec-Fetch-Site": "same-site", "Origin": "https://evil.localhost"},
    "a page without an origin": {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    "another site, in an older browser": {"Origin": "https://evil.example"},
    "an origin that begins like a partner's": {"Origin": f"{PARTNER}.evil.example"},
    "a partner without TLS": {"Origin": "http://app.example"},
    "two origins": {"Origin": f"{PARTNER} https://evil.example"},
    "no origin at all": {"Sec-Fetch-Site": "cross-site"},
}
FROM_PARTNER = {"Sec-Fetch-Site": "cross-site", "Origin": PARTNER}
# All routes whose responses set or clear cookies.
ROUTES = {
    "/auth": ADMIN,
    "/auth/register": EVE,
    "/auth/guest": None,
    "/auth/refresh": None,
    "/auth/logout": None,
    "/auth/password": {"current_password": "admin", "new_password": "another horse entirely"},
}


@pytest.fixture
def app_of_partners(make_replica):
    """An application with the origins of two partners and its own."""
    return make_replica(cors_origins=f"http://localhost:3000, {PARTNER} {SHOP}")


def call(client, path, headers):
    body = {"json": ROUTES[path]} if ROUTES[path] else {}
    return client.post(path, headers=headers, **body)


def count_changes(run_sql):
    """Return counts and values that each of these routes would change."""
    return run_sql(
        "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM sessions),"
        " (SELECT count(*) FROM sign_offs), (SELECT count(*) FROM refresh_tokens),"
        " (SELECT count(*) FROM login_attempts), (SELECT max(password_hash) FROM users)"
    )


def test_each_route_that_sets_cookies_refuses_pages_of_other_sites(app_of_partners, run_sql):
    visitor = app_of_partners.test_client()
    token = visitor.post("/auth", json=ADMIN).json["access_token"]
    ways = {
        "with nothing": (app_of_partners.test_client(), {}),
        "with a token": (app_of_partners.test_client(), bearer(token)),
        "with the visitor's cookies": (visitor, {}),
    }
    # Rows of the log-in above, which the sweep may delete at any time.
    run_sql("DELETE FROM login_attempts")
    before, wrong = count_changes(run_sql), {}
    for path in ROUTES:
        for how, (client, carried) in ways.items():
            for page, headers in FOREIGN.items():
                answer = call(client, path, headers | carried)
                refused = answer.status_code == 403 and answer.json["code"] == "cross_site"
                if not refused or "Set-Cookie" in answer.headers:
                    wrong[path, how, page] = answer.status
    assert wrong == {}
    assert count_changes(run_sql) == before
    assert visitor.get("/auth/me").json["username"] == "admin"


def test_a_partners_page_gets_tokens_in_the_body_and_no_cookie(app_of_partners):
    client = app_of_partners.test_client()
    wrong = {}

    def expect(path, status, headers=None, **body):
        answer = client.post(path, headers=FROM_PARTNER | (headers or {}), **body)
        if answer.status_code != status or "Set-Cookie" in answer.headers:
            wrong[path] = answer.status, answer.headers.get("Set-Cookie")
        return answer.json

    expect("/auth/guest", 201)
    expect("/auth/register", 201, json=EVE)
    signed_in = expect("/auth", 200, json=EVE)
    signed_in = expect("/auth/refresh", 200, json={"refresh_token": signed_in["refresh_token"]})
    change = {"current_password": EVE["password"], "new_password": "another horse entirely"}
    signed_in = expect("/auth/password", 200, bearer(signed_in["access_token"]), json=change)
    expect("/auth/logout", 204, bearer(signed_in["access_token"]))
    expect("/auth/refresh", 401, json={"refresh_token": signed_in["refresh_token"]})
    assert wrong == {}


def test_a_visitors_cookies_are_ignored_on_a_partners_page(app_of_partners):
    visitor = app_of_partners.test_client()
    guest = claims_of(visitor.post("/auth/guest").json["access_token"])["sub"]
    assert call(visitor, "/auth/refresh", FROM_PARTNER).status_code == 401
    registered = call(visitor, "/auth/register", FROM_PARTNER).json["access_token"]
    assert claims_of(registered)["sub"] != guest
    assert "guest_sub" not in claims_of(call(visitor, "/auth", FROM_PARTNER).json["access_token"])
    for path in ("/auth/logout", "/auth/password"):
        assert call(visitor, path, FROM_PARTNER).json["code"] == "cross_site"
    # The guest's cookies in the browser are still valid.
    assert visitor.get("/auth/me").json["id"] == guest
    assert visitor.post("/auth/refresh").status_code == 200


def test_the_shops_own_pages_and_other_clients_get_cookies(app_of_partners):
    own = {
        "no browser": {},
        "the shop's page": {"Sec-Fetch-Site": "same-origin", "Origin": SHOP},
        "the shop's page in an older browser": {"Origin": SHOP},
        "typed by a person": {"Sec-Fetch-Site": "none"},
    }
    wrong = {}
    for page, headers in own.items():
        client = app_of_partners.test_client()
        for path in ("/auth/guest", "/auth", "/auth/refresh", "/auth/logout"):
            answer = call(client, path, headers)
            if len(answer.headers.getlist("Set-Cookie")) != 2:
                wrong[page, path] = answer.status
    assert wrong == {}


def test_without_cors_origins_other_origins_are_refused(client):
    assert call(client, "/auth/guest", FROM_PARTNER).json["code"] == "cross_site"
