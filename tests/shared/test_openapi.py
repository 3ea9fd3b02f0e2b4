"""Each service's OpenAPI document is valid, and documents access and errors with examples."""

import importlib
import inspect
import re
from contextlib import closing

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from shared import shipping
from shared.errors import Problem
from shared.settings import read_settings
from tests.fakes import FakeAuth

SERVICES = ["auth", "catalog", "orders", "payments", "logs"]
NOWHERE = "http://127.0.0.1:9"
# OAuth and OTLP have their own error formats (RFC 6749, section 5.2; google.rpc.Status).
OWN_SHAPE = {"/auth/token", "/auth/introspect", "/auth/revoke", "/v1/logs"}
PROBLEM = "application/problem+json"
# Content types that people can read, and that need examples.
READABLE = {
    "application/json",
    PROBLEM,
    "application/x-ndjson",
    "application/jsonl",
    "application/x-www-form-urlencoded",
    "text/event-stream",
}
# Calls that require an Idempotency-Key.
KEYED = {
    ("/orders", "post"),
    ("/orders/{order_id}/refund", "post"),
    ("/payments/{payment_id}/confirm", "post"),
}
# Errors of the services' commands, which no route returns.
OF_COMMANDS = {"key_not_found", "key_needed", "user_not_found"}
LOOKED_AFTER = {"/", "/healthz", "/readyz", "/verdict"}


@pytest.fixture(params=SERVICES, scope="module")
def service(request):
    return request.param


@pytest.fixture(scope="module")
def app(service, make_empty_database):
    environ = {
        "SERVICE": f"{service}-service",
        "DATABASE_URL": make_empty_database(),
        "CLIENT_SECRET": "secret",
        **{f"{other}_URL": NOWHERE for other in ("AUTH", "CATALOG", "PAYMENTS")},
    }
    settings = read_settings(importlib.import_module(f"{service}.config").Settings, environ)
    create_app = importlib.import_module(f"{service}.app").create_app
    auth = () if service == "auth" else (FakeAuth(),)
    with pytest.MonkeyPatch.context() as changed, closing(create_app(settings, *auth)) as app:
        # Without tables, logs-service cannot store its own records at shutdown.
        changed.setattr(shipping, "FLUSH", 0.0)
        yield app


@pytest.fixture(scope="module")
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


def bodies(operation):
    """Yield every body of an operation: its status or "request", its content type, and its description."""
    answers = {"request": operation.get("requestBody", {}), **operation["responses"]}
    for status, answer in answers.items():
        for content_type, media in answer.get("content", {}).items():
            yield status, content_type, media


def examples_of(document, media):
    """Return the examples of a body: its own, else its schema's."""
    if "examples" in media:
        return [example["value"] for example in media["examples"].values()]
    schema = media["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema.get("examples", [])


def check_example(document, schema, example):
    """Raise ValidationError unless the example matches the schema and its formats."""
    whole = {**schema, "components": document["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(example)


def test_it_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_its_server_is_the_address_that_serves_it(document):
    assert document["servers"] == [{"url": "/"}]
    assert document["info"]["description"]


def test_every_operation_has_a_summary_and_lists_its_callers(document):
    for path, method, operation in operations(document):
        assert operation["summary"], (method, path)
        assert "security" in operation, (method, path)
        assert operation["operationId"]
        if operation["security"] and path not in OWN_SHAPE - {"/v1/logs"}:
            assert "May be called by: " in operation["description"]


def test_every_operation_has_a_tag_and_every_tag_has_operations(document):
    used = [tag for _path, _method, operation in operations(document) for tag in operation["tags"]]
    assert sorted(set(used)) == sorted(tag["name"] for tag in document["tags"])


def test_operations_that_the_gateway_does_not_expose_are_internal(document):
    for path, method, operation in operations(document):
        is_inside = path.startswith("/internal/") or path in LOOKED_AFTER
        assert operation.get("x-internal", False) == is_inside, (method, path)
        assert (operation["tags"] == ["Internal"]) == is_inside, (method, path)


def test_every_route_of_the_service_is_documented(app, document):
    hidden = {"/metrics", "/openapi.json", "/docs/assets/{asset}"}
    known = {(path, method.upper()) for path, method, _operation in operations(document)}
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            assert path in hidden or (path, method) in known


def test_every_body_has_an_example(document):
    for path, method, operation in operations(document):
        for status, content_type, media in bodies(operation):
            if content_type in READABLE:
                assert examples_of(document, media), (method, path, status, content_type)


def test_every_example_is_valid(document):
    for _path, _method, operation in operations(document):
        for _status, _content_type, media in bodies(operation):
            for example in examples_of(document, media):
                check_example(document, media["schema"], example)
        for parameter in operation["parameters"]:
            if "example" in parameter:
                check_example(document, parameter["schema"], parameter["example"])
    for schema in document["components"]["schemas"].values():
        for example in schema.get("examples", []):
            check_example(document, schema, example)


def test_an_example_has_the_members_in_the_order_of_the_response(service, document):
    for schema in document["components"]["schemas"].values():
        for example in schema.get("examples", []):
            assert list(example) == [name for name in schema.get("properties", example) if name in example]


def test_every_error_is_a_problem_with_an_example_of_its_code(document):
    for path, method, operation in operations(document):
        for status, content_type, media in bodies(operation):
            if status == "request" or int(status) < 400 or content_type != PROBLEM:
                continue
            for code, example in media["examples"].items():
                value = example["value"]
                assert (value["status"], value["code"]) == (int(status), code), (method, path)
                assert value["error"] == value["detail"] == example["summary"]


def test_every_error_has_a_body(document):
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert PROBLEM in answer["content"] or path in OWN_SHAPE, (method, path, status)


def test_every_error_of_the_service_is_documented(service, document):
    module = importlib.import_module(f"{service}.errors")
    codes = {
        refusal.code
        for _name, refusal in inspect.getmembers(module, inspect.isclass)
        if issubclass(refusal, Problem) and refusal.__module__ == module.__name__ and "code" in vars(refusal)
    }
    shown = {
        code
        for _path, _method, operation in operations(document)
        for _status, content_type, media in bodies(operation)
        if content_type == PROBLEM
        for code in media["examples"]
    }
    own_shape = {"malformed_export", "export_too_large", "ingest_busy"}
    assert codes - shown - OF_COMMANDS - own_shape == set()


def test_operations_with_a_token_document_its_errors(document):
    for _path, _method, operation in operations(document):
        if {name for scheme in operation["security"] for name in scheme} - {"client"}:
            assert {"401", "403", "503"} <= set(operation["responses"])


def test_operations_with_a_body_require_it_and_document_its_errors(document):
    for path, _method, operation in operations(document):
        if "requestBody" in operation:
            # A browser refreshes with only the cookie, and a sync needs no options.
            assert operation["requestBody"]["required"] == (path not in {"/auth/refresh", "/products/sync"})
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            # An invalid OTLP message is malformed.
            assert {"400", "413", "415"} <= set(operation["responses"])
            assert "422" in operation["responses"] or path in OWN_SHAPE


def test_idempotent_calls_document_the_key(document):
    keyed = {
        (path, method): parameter
        for path, method, operation in operations(document)
        for parameter in operation["parameters"]
        if parameter["name"] == "Idempotency-Key"
    }
    assert set(keyed) == {(path, method) for path, method, _operation in operations(document)} & KEYED
    for place, parameter in keyed.items():
        assert (parameter["in"], parameter["required"]) == ("header", True)
        assert parameter["schema"] == {"type": "string", "minLength": 1, "maxLength": 255}
        answers = document["paths"][place[0]][place[1]]["responses"]
        assert "idempotency_key_missing" in answers["400"]["content"][PROBLEM]["examples"]
        assert "idempotency_key_reused" in answers["422"]["content"][PROBLEM]["examples"]
        assert "idempotency_in_progress" in answers["409"]["content"][PROBLEM]["examples"]
