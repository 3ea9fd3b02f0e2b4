"""Who may call what."""

import pytest


@pytest.mark.parametrize(
    ("role", "mine", "everything"),
    [("guest", 200, 403), ("customer", 200, 403), ("admin", 200, 200), ("service", 403, 403)],
)
def test_each_role_opens_its_own_doors(client, auth, role, mine, everything):
    headers = auth.bearer(role=role)
    assert client.get("/open", headers=headers).status_code == 200
    assert client.get("/mine", headers=headers).status_code == mine
    assert client.get("/all", headers=headers).status_code == everything


def test_nobody_opens_only_what_is_public(client):
    assert client.get("/open").status_code == 200
    for path in ("/mine", "/all", "/internal/x"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.json["code"] == "token_missing"


@pytest.mark.parametrize("header", ["Basic YWRtaW46YWRtaW4=", "Bearer x.y.z", "Token abc"])
def test_a_header_that_is_no_bearer_token_is_invalid(client, header):
    answer = client.get("/mine", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json["code"] == "token_invalid"


def test_an_internal_route_asks_for_a_service_token_of_one_that_it_lists(client, auth):
    assert client.get("/internal/x", headers=auth.service_bearer("catalog-service")).status_code == 200
    assert client.get("/internal/x", headers=auth.service_bearer("logs-service")).status_code == 403


def test_no_persons_token_opens_an_internal_route(client, auth):
    assert client.get("/internal/x", headers=auth.bearer(role="admin")).status_code == 401
    forged = {"X-Service-Authorization": f"Bearer {auth.token(role='admin', client_id='catalog-service')}"}
    assert client.get("/internal/x", headers=forged).status_code == 403


def test_a_token_does_not_stick_to_the_thread_that_served_it(client, auth):
    assert client.get("/mine", headers=auth.bearer(sub="me")).json["sub"] == "me"
    assert client.get("/open").json["sub"] is None
    assert client.get("/caller").status_code == 401


def test_every_route_was_mounted_with_a_rule(app):
    blueprints = {rule.endpoint.rpartition(".")[0] for rule in app.url_map.iter_rules()}
    assert blueprints - {"openapi"} == set(app.access)
