"""Each service's OpenAPI document is valid, and says who may call and what may go wrong."""

import importlib
from contextlib import closing

import pytest
from openapi_spec_validator import validate

from auth.config import Settings as AuthSettings
from catalog.config import Settings as CatalogSettings
from shared.settings import CallerSettings

SETTINGS = {
    "auth": AuthSettings,
    "catalog": CatalogSettings,
    "orders": CallerSettings,
    "payments": CallerSettings,
    "logs": CallerSettings,
}


@pytest.fixture(params=SETTINGS)
def app(request, auth, make_empty_database):
    name = request.param
    told = {"service": f"{name}-service", "database_url": make_empty_database()}
    create_app = importlib.import_module(f"{name}.app").create_app
    if name == "auth":
        app = create_app(AuthSettings(**told))
    else:
        app = create_app(SETTINGS[name](**told, auth_url="http://127.0.0.1:9"), auth)
    with closing(app):
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
    hidden = {"/metrics", "/openapi.json"}
    known = {(path, method.upper()) for path, method, _operation in operations(document)}
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<int:", "{").replace("<", "{").replace(">", "}")
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            assert path in hidden or (path, method) in known


def test_every_error_is_a_problem(document):
    for path, _method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and answer.get("content"):
                assert "application/problem+json" in answer["content"] or path == "/auth/token"


def test_what_takes_a_token_can_be_refused(document):
    for _path, _method, operation in operations(document):
        if operation["security"]:
            assert {"401", "403", "503"} <= set(operation["responses"])


def test_a_body_is_required_and_can_be_wrong(document):
    for _path, _method, operation in operations(document):
        if "requestBody" in operation:
            assert operation["requestBody"]["required"]
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            assert {"400", "413", "415", "422"} <= set(operation["responses"])
