"""A service's own token, by OAuth 2.0 client credentials (RFC 6749, sections 4.4 and 5)."""

import base64

import jwt
import pytest

GRANT = {"grant_type": "client_credentials"}


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def test_a_service_gets_a_token_for_its_credentials_in_the_header(client):
    answer = client.post("/auth/token", data=GRANT, headers=basic("orders-service", "orders secret"))
    assert answer.status_code == 200
    assert answer.json.keys() == {"access_token", "token_type", "expires_in"}
    assert answer.headers["Cache-Control"] == "no-store"
    claims = jwt.decode(answer.json["access_token"], options={"verify_signature": False})
    assert claims["role"] == "service"
    assert claims["sub"] == claims["client_id"] == "orders-service"


def test_the_credentials_may_stand_in_the_form(client):
    form = {**GRANT, "client_id": "orders-service", "client_secret": "orders secret"}
    assert client.post("/auth/token", data=form).status_code == 200


@pytest.mark.parametrize(
    ("name", "secret"),
    [("orders-service", "wrong"), ("nobody", "orders secret"), ("orders-service", ""), ("", "")],
)
def test_wrong_credentials_are_an_invalid_client(client, name, secret):
    answer = client.post("/auth/token", data=GRANT, headers=basic(name, secret))
    assert answer.status_code == 401
    assert answer.json["error"] == "invalid_client"
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("form", "error"), [({}, "invalid_request"), ({"grant_type": "password"}, "unsupported_grant_type")]
)
def test_only_client_credentials_are_granted(client, form, error):
    answer = client.post("/auth/token", data=form, headers=basic("orders-service", "orders secret"))
    assert answer.status_code == 400
    assert answer.json["error"] == error


def test_a_json_body_is_an_invalid_request(client):
    answer = client.post("/auth/token", json=GRANT, headers=basic("orders-service", "orders secret"))
    assert answer.status_code == 400
    assert answer.json["error"] == "invalid_request"


def test_a_services_token_does_not_open_a_persons_account(client):
    token = client.post("/auth/token", data=GRANT, headers=basic("orders-service", "orders secret")).json
    answer = client.get("/auth/me", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert answer.status_code == 403
