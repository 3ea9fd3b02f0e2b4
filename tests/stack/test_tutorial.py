"""The tutorial's calls through the gateway, on both stacks."""

import subprocess
import sys

import jwt
import pytest
from openapi_spec_validator import validate

from tests.stack.conftest import on_breakable_stacks
from tests.stacks import ROOT, SERVICES, Shopper

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]


def test_admin_logs_in_and_lists_products_with_the_cookie(shopper):
    answer = shopper.post("/auth", json={"username": "admin", "password": "admin"})
    assert answer.status_code == 200
    assert answer.json()["message"] == "Authentication successful"
    assert shopper.cookies["token"] == answer.json()["access_token"]
    products = shopper.get("/products")
    assert products.status_code == 200
    for product in products.json()["data"]:
        assert {"id", "title", "brand", "price", "description"} <= product.keys()
    assert len(products.json()["data"]) == 30


def test_the_bearer_token_works_like_the_cookie(shopper):
    token = shopper.log_in()
    shopper.cookies.clear()
    assert shopper.get("/products", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_form_is_refused(shopper):
    answer = shopper.post("/auth", data={"username": "admin", "password": "admin"})
    assert answer.status_code == 415
    assert answer.json()["error"] == "Unsupported Media Type"


def test_a_wrong_password_is_refused(shopper):
    answer = shopper.post("/auth", json={"username": "admin", "password": "wrong"})
    assert answer.status_code == 401
    assert answer.json()["error"] == "Invalid username or password"


def test_products_are_not_listed_without_a_token(shopper):
    answer = shopper.get("/products")
    assert answer.status_code == 401
    assert answer.json()["error"] == "Authorization token is missing"
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_tampered_token_is_refused(shopper):
    token = shopper.log_in()
    shopper.cookies.clear()
    head, _, signature = token.rpartition(".")
    tampered = f"{head}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    answer = shopper.get("/products", headers={"Authorization": f"Bearer {tampered}"})
    assert answer.status_code == 401
    assert answer.json()["error"] == "Authorization token is invalid"


def test_a_client_verifies_a_token_with_the_published_keys(shopper):
    token = shopper.log_in()
    keys = jwt.PyJWKSet.from_dict(shopper.get("/.well-known/jwks.json").json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["ES256"], audience="shopfleet")["role"] == "admin"


def test_each_service_is_healthy_and_has_a_document(shopper):
    found = {}
    for service in SERVICES:
        health = shopper.get(f"/healthz/{service}")
        found[service] = (health.status_code, health.json()["service"])
        validate(shopper.get(f"/docs/{service.removesuffix('-service')}.json").json())
    assert found == {service: (200, service) for service in SERVICES}


def test_the_gateway_routes_no_internal_or_unknown_path(shopper):
    shopper.log_in()
    found = {}
    paths = ("/metrics", "/internal/anything", "/readyz", "/openapi.json", "/nowhere", "/images/1.png")
    for path in paths:
        answer = shopper.get(path)
        has_id = answer.json()["request_id"] == answer.headers["X-Request-ID"]
        found[path] = (answer.status_code, answer.headers["Content-Type"], has_id)
    assert found == dict.fromkeys(paths, (404, "application/problem+json", True))


def test_the_gateway_and_the_service_keep_the_callers_request_id(shopper):
    answer = shopper.get("/products", headers={"X-Request-ID": "seen-by-all.1"})
    assert answer.headers["X-Request-ID"] == "seen-by-all.1"
    assert answer.json()["request_id"] == "seen-by-all.1"


def test_a_too_large_body_is_refused(shopper):
    answer = shopper.post("/auth", json={"username": "admin", "password": "x" * 2_000_000})
    assert answer.status_code == 413
    assert answer.json()["status"] == 413


def test_a_browser_gets_the_front_page(shopper):
    answer = shopper.get("/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")


@on_breakable_stacks
def test_the_demo_gets_every_expected_answer(stack):
    # While its shipping method is active, each order of the shop needs one.
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo"],
        cwd=ROOT,
        env={"URL": stack.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 unexpected answers" in done.stdout
    with Shopper(stack.url) as admin:
        admin.log_in()
        for path in ("/shipping-methods", "/tax-rates", "/coupons?q=demo"):
            assert admin.get(path).json()["data"] == [], path
