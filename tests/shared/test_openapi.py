"""Each service's OpenAPI document is valid, and says who may call and what may go wrong."""

import importlib
from contextlib import closing

import pytest
from openapi_spec_validator import validate

from shared.settings import read_settings

SERVICES = ["auth", "catalog", "orders", "payments", "logs"]
NOWHERE = "http://127.0.0.1:9"
# OAuth and OTLP have errors of their own (RFC 6749, section 5.2; google.rpc.Status).
OWN_SHAPE = {"/auth/token", "/auth/introspect", "/auth/revoke", "/v1/logs"}


@pytest.fixture(params=SERVICES)
def app(request, auth, make_empty_database):
    name = request.param
    told = {
        "SERVICE": f"{name}-service",
        "DATABASE_URL": make_empty_database(),
        "CLIENT_SECRET": "secret",
        **{f"{other}_URL": NOWHERE for other in ("AUTH", "CATALOG", "PAYMENTS")},
    }
    settings = read_settings(importlib.import_module(f"{name}.config").Settings, told)
    create_app = importlib.import_module(f"{name}.app").create_app
    with closing(create_app(settings) if name == "auth" else create_app(settings, auth)) as app:
        yield app


@pytest.fixture
def document(app):
    answer = app.test_client().get("/openapi.json")
    assert answer.status_code == 200
    return answer.json


def operations(document):
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_it_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_operation_says_what_it_does_and_who_may_call(document):
    for path, method, operation in operations(document):
        assert operation["summary"], (method, path)
        assert "security" in operation, (method, path)
        assert operation["operationId"]


def test_every_route_of_the_service_is_in_it(app, document):
    hidden = {"/metrics", "/openapi.json", "/docs/assets/{asset}"}
    known = {(path, method.upper()) for path, method, _operation in operations(document)}
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<int:", "{").replace("<uuid:", "{").replace("<", "{").replace(">", "}")
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            assert path in hidden or (path, method) in known


def test_every_error_is_a_problem(document):
    for path, _method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and answer.get("content"):
                assert "application/problem+json" in answer["content"] or path in OWN_SHAPE


def test_what_takes_a_token_can_be_refused(document):
    for _path, _method, operation in operations(document):
        if {name for scheme in operation["security"] for name in scheme} - {"client"}:
            assert {"401", "403", "503"} <= set(operation["responses"])


def test_a_body_is_required_and_can_be_wrong(document):
    for path, _method, operation in operations(document):
        if "requestBody" in operation:
            # A browser refreshes with the cookie alone, and a sync is asked for without wishes, too.
            assert operation["requestBody"]["required"] == (path not in {"/auth/refresh", "/products/sync"})
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            assert {"400", "413", "415", "422"} <= set(operation["responses"])
