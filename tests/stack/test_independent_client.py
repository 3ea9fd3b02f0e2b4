"""A third-party client library, through the gateway of both stacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.independent import discover, walk
from tests.stack.deadlines import assert_soon
from tests.stacks import ROOT, Shopper
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]


@pytest.fixture
def url(stack, monkeypatch):
    """The shop's public address, which is the issuer of its tokens."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # The tests use no TLS.
    return stack.url.replace("127.0.0.1", "localhost")


@pytest.fixture
def make_client(shopper):
    """Make integrators' clients as the admin; return the id and the secret."""
    admin = {"Authorization": f"Bearer {shopper.log_in()}"}

    def make(*scopes):
        answer = shopper.post("/auth/clients", json={"name": "A shop", "scopes": list(scopes)}, headers=admin)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], answer.json()["client_secret"]

    return make


def test_an_integrators_library_works_with_the_shop(url, make_client):
    walk(url, *make_client("logs:write", "tokens:introspect"))


def test_an_integrators_token_opens_the_routes_of_its_scopes_only(url, make_client):
    form = {"grant_type": "client_credentials"}
    token_endpoint = discover(url)["token_endpoint"]
    token = requests.post(token_endpoint, data=form, auth=make_client("products:read"), timeout=10).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert requests.get(f"{url}/products", headers=headers, timeout=10).status_code == 200
    for path in ("/logs", "/orders", "/payments", "/auth/me", "/auth/users", "/auth/clients"):
        assert requests.get(f"{url}{path}", headers=headers, timeout=10).status_code == 403, path


def test_every_service_refuses_a_disabled_client_within_five_seconds(url, make_client, shopper):
    client_id, secret = make_client("products:read", "logs:read")
    form = {"grant_type": "client_credentials"}
    answer = requests.post(f"{url}/auth/token", data=form, auth=(client_id, secret), timeout=10)
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    paths = ("/products", "/logs")
    for path in paths:
        assert requests.get(url + path, headers=headers, timeout=10).status_code == 200
    admin = {"Authorization": f"Bearer {shopper.log_in()}"}
    shopper.patch(f"/auth/clients/{client_id}", json={"disabled": True}, headers=admin).raise_for_status()
    for path in paths:
        assert_soon(
            lambda path=path: requests.get(url + path, headers=headers, timeout=10).status_code == 401
        )


@pytest.mark.xdist_group("breakable")
def test_a_key_rotation_by_command_ends_no_session(breakable):
    with Shopper(breakable.url) as shopper:
        token = shopper.log_in()
        before = {key["kid"] for key in shopper.get("/.well-known/jwks.json").json()["keys"]}
        done = subprocess.run(
            ["make", "-s", "keys", "DO=rotate"],
            cwd=ROOT,
            env={**os.environ, "STATE": str(breakable.state), "VENV": str(Path(sys.executable).parents[1])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        new = done.stdout.split()[0]
        kids = wait_for(
            lambda: {key["kid"] for key in shopper.get("/.well-known/jwks.json").json()["keys"]} - before
        )
        assert kids == {new}
        assert shopper.get("/orders", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        admin = {"Authorization": f"Bearer {shopper.log_in()}"}

        def is_recorded() -> bool:
            records = shopper.get("/logs?q=signing+key&limit=100", headers=admin).json()["data"]
            recorded = [each["attributes"] for each in records]
            return ("auth.key.rotated", new) in [
                (each.get("event.name"), each.get("audit.target")) for each in recorded
            ]

        wait_for(is_recorded)
