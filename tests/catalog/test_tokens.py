"""The tutorial's answers to callers without a token, or with a bad one."""

import pytest


def test_without_a_token_there_are_no_products(client):
    answer = client.get("/products")
    assert answer.status_code == 401
    assert answer.json["error"] == "Authorization token is missing"
    assert answer.json["code"] == "token_missing"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_tampered_token_is_invalid(client, auth):
    head, _, signature = auth.token().rpartition(".")
    tampered = f"{head}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    answer = client.get("/products", headers={"Authorization": f"Bearer {tampered}"})
    assert answer.status_code == 401
    assert answer.json["error"] == "Authorization token is invalid"


def test_the_cookie_is_as_good_as_the_header(client, auth):
    client.set_cookie("token", auth.token())
    assert client.get("/products").status_code == 200


def test_the_header_wins_over_the_cookie(client, auth):
    client.set_cookie("token", auth.token())
    assert client.get("/products", headers={"Authorization": "Bearer wrong"}).status_code == 401


@pytest.mark.parametrize("role", ["guest", "customer", "admin"])
def test_every_person_may_look_around(client, auth, role):
    assert client.get("/products", headers=auth.bearer(role=role)).status_code == 200


def test_a_service_is_no_person(client, auth):
    assert client.get("/products", headers=auth.bearer(role="service")).status_code == 403
