"""Each service's OpenAPI document is valid, and says with examples who may call and what may go wrong."""

import importlib
import inspect
from contextlib import closing

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from shared import shipping
from shared.errors import Problem
from shared.settings import read_settings
from shared.testing import FakeAuth

SERVICES = ["auth", "catalog", "orders", "payments", "logs"]
NOWHERE = "http://127.0.0.1:9"
# OAuth and OTLP have errors of their own (RFC 6749, section 5.2; google.rpc.Status).
OWN_SHAPE = {"/auth/token", "/auth/introspect", "/auth/revoke", "/v1/logs"}
PROBLEM = "application/problem+json"
# What a person can read, and so wants to see.
READABLE = {
    "application/json",
    PROBLEM,
    "application/x-ndjson",
    "application/jsonl",
    "application/x-www-form-urlencoded",
    "text/event-stream",
}
# Which calls may be repeated by their key (DESIGN, section 3).
KEYED = {
    ("/orders", "post"),
    ("/orders/{order_id}/refund", "post"),
    ("/payments/{payment_id}/confirm", "post"),
}
# Refusals of the service's commands, which no caller can meet.
OF_COMMANDS = {"key_not_found", "key_needed"}
LOOKED_AFTER = {"/", "/healthz", "/readyz", "/verdict"}


@pytest.fixture(params=SERVICES, scope="module")
def service(request):
    return request.param


@pytest.fixture(scope="module")
def app(service, make_empty_database):
    told = {
        "SERVICE": f"{service}-service",
        "DATABASE_URL": make_empty_database(),
        "CLIENT_SECRET": "secret",
        **{f"{other}_URL": NOWHERE for other in ("AUTH", "CATALOG", "PAYMENTS")},
    }
    settings = read_settings(importlib.import_module(f"{service}.config").Settings, told)
    create_app = importlib.import_module(f"{service}.app").create_app
    auth = () if service == "auth" else (FakeAuth(),)
    with pytest.MonkeyPatch.context() as changed, closing(create_app(settings, *auth)) as app:
        # Without tables, logs-service cannot store its own records before it ends.
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
    """Yield every body of an operation: its status or "request", its content type, and what is said of it."""
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
    """Raise ValidationError unless the example fits the schema, its formats included."""
    whole = {**schema, "components": document["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(example)


def test_it_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_it_is_called_where_it_is_read(document):
    assert document["servers"] == [{"url": "/"}]
    assert document["info"]["description"]


def test_every_operation_says_what_it_does_and_who_may_call(document):
    for path, method, operation in operations(document):
        assert operation["summary"], (method, path)
        assert "security" in operation, (method, path)
        assert operation["operationId"]
        if operation["security"] and path not in OWN_SHAPE - {"/v1/logs"}:
            assert "May be called by: " in operation["description"]


def test_operations_are_in_groups_of_which_each_has_some(document):
    used = [tag for _path, _method, operation in operations(document) for tag in operation["tags"]]
    assert sorted(set(used)) == sorted(tag["name"] for tag in document["tags"])


def test_what_is_not_behind_the_gateway_is_said_to_be_internal(document):
    for path, method, operation in operations(document):
        is_inside = path.startswith("/internal/") or path in LOOKED_AFTER
        assert operation.get("x-internal", False) == is_inside, (method, path)
        assert (operation["tags"] == ["Internal"]) == is_inside, (method, path)


def test_every_route_of_the_service_is_in_it(app, document):
    hidden = {"/metrics", "/openapi.json", "/docs/assets/{asset}"}
    known = {(path, method.upper()) for path, method, _operation in operations(document)}
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<int:", "{").replace("<uuid:", "{").replace("<", "{").replace(">", "}")
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


def test_an_example_is_in_the_order_in_which_it_is_answered(service, document):
    for schema in document["components"]["schemas"].values():
        for example in schema.get("examples", []):
            assert list(example) == [name for name in schema.get("properties", example) if name in example]


def test_every_error_is_a_problem_and_is_shown_with_its_code(document):
    for path, method, operation in operations(document):
        for status, content_type, media in bodies(operation):
            if status == "request" or int(status) < 400 or content_type != PROBLEM:
                continue
            for code, example in media["examples"].items():
                value = example["value"]
                assert (value["status"], value["code"]) == (int(status), code), (method, path)
                assert value["error"] == value["detail"] == example["summary"]


def test_no_error_is_without_a_body(document):
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert PROBLEM in answer["content"] or path in OWN_SHAPE, (method, path, status)


def test_every_refusal_of_the_service_is_shown_somewhere(service, document):
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
            # What does not fit into an OTLP message is malformed there.
            assert {"400", "413", "415"} <= set(operation["responses"])
            assert "422" in operation["responses"] or path in OWN_SHAPE


def test_a_call_that_may_be_repeated_by_its_key_asks_for_it(document):
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
