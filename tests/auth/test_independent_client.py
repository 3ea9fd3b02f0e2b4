"""A third-party library does client credentials, introspection, revocation and discovery."""

import pytest
from joserfc import jwt

from tests.auth.conftest import ADMIN, claims_of
from tests.independent import Validator, discover, walk
from tests.stacks import reserve_port


@pytest.fixture
def shop(make_replica, serve, monkeypatch):
    """The served application and its address, which is also the issuer of its tokens."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # The test uses no TLS.
    port = reserve_port()
    url = f"http://127.0.0.1:{port}"
    app = make_replica(public_url=url)
    serve(app, port)
    return app, url


def test_an_oauth_library_works_with_all_endpoints(shop):
    app, url = shop
    client = app.test_client()
    client.post("/auth", json=ADMIN)
    scopes = ["logs:write", "tokens:introspect"]
    made = client.post("/auth/clients", json={"name": "authlib", "scopes": scopes}).json
    walk(url, made["id"], made["client_secret"])


def test_a_third_party_library_verifies_a_users_token(shop):
    app, url = shop
    token = app.test_client().post("/auth", json=ADMIN).json["access_token"]
    read = jwt.decode(token, Validator(discover(url)).get_jwks(), algorithms=["ES256"])
    assert read.header["typ"] == "at+jwt"
    assert read.claims == claims_of(token)


def test_the_metadata_describe_the_endpoints_and_may_be_cached(client):
    answer = client.get("/.well-known/oauth-authorization-server")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    metadata = answer.json
    assert metadata["issuer"] == "http://localhost:8080"
    assert metadata["grant_types_supported"] == ["client_credentials"]
    assert "authorization_endpoint" not in metadata
    assert metadata["scopes_supported"] == [
        *("logs:write", "logs:read", "products:read", "products:write", "orders:read", "orders:fulfil"),
        "tokens:introspect",
    ]
    assert "none" in metadata["revocation_endpoint_auth_methods_supported"]
    for name in ("token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        path = metadata[name].removeprefix(metadata["issuer"])
        assert client.post(path, data={}).status_code in {400, 401}
    assert client.get(metadata["jwks_uri"].removeprefix(metadata["issuer"])).status_code == 200


def test_a_public_url_with_a_trailing_slash_gives_no_double_slash(make_replica):
    client = make_replica(public_url="https://shop.example/").test_client()
    metadata = client.get("/.well-known/oauth-authorization-server").json
    assert metadata["issuer"] == "https://shop.example/"
    assert metadata["token_endpoint"] == "https://shop.example/auth/token"
