"""Complete the OpenAPI document with what APIFlask does not know: security and every error answer."""

import re
from typing import Any

from apiflask import APIFlask
from pydantic import BaseModel

from shared.access import Access, cookie_name
from shared.errors import title_of

PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
UNNAMED_ERROR = "#/components/schemas/HTTPError"


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    location: str
    field: str
    detail: str


class ProblemBody(BaseModel):
    """An error (RFC 9457). `code` is for programs, `detail` for people, and `error` repeats `detail`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    error: str
    request_id: str
    errors: list[FieldProblem] | None = None


def complete(
    app: APIFlask, spec: dict[str, Any], rules: dict[str, Access], *, production: bool
) -> dict[str, Any]:
    """Add security schemes, each operation's security, and the errors that follow from both and its input."""
    components = spec.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": cookie_name(production=production)},
        "service": {"type": "apiKey", "in": "header", "name": "X-Service-Authorization"},
        "client": {"type": "http", "scheme": "basic"},
    }
    for rule in app.url_map.iter_rules():
        blueprint = rule.endpoint.rpartition(".")[0]
        path = spec.get("paths", {}).get(re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule), {})
        for method in rule.methods or ():
            if method.lower() in path and blueprint in rules:
                operation = path[method.lower()]
                _complete_operation(operation, rules[blueprint])
                # A view that does without its body says so of itself.
                if getattr(app.view_functions[rule.endpoint], "body_is_optional", False):
                    operation["requestBody"]["required"] = False
    schemas.pop("HTTPError", None)
    return spec


def _complete_operation(operation: dict[str, Any], access: Access) -> None:
    statuses = {503}
    if access.is_public:
        # Where no token is asked for, a route may still ask a program for its credentials.
        operation.setdefault("security", [])
    elif access.services:
        operation["security"] = [{"service": []}]
        statuses |= {401, 403}
    else:
        operation["security"] = [{"bearer": []}, {"cookie": []}]
        statuses |= {401, 403}
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
        is_json = "application/json" in operation["requestBody"]["content"]
        statuses |= {400, 413, 415, 422} if is_json else {413}
    kinds = {parameter["in"] for parameter in operation.get("parameters", [])}
    if "query" in kinds:
        statuses.add(422)
    if "path" in kinds:
        statuses.add(404)
    # What a route names by its status alone has APIFlask's own error schema until here.
    for status, answer in operation["responses"].items():
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        if schema.get("$ref") == UNNAMED_ERROR:
            operation["responses"][status] = _problem(int(status))
    for status in sorted(statuses):
        operation["responses"].setdefault(str(status), _problem(status))


def _problem(status: int) -> dict[str, Any]:
    return {"description": title_of(status), "content": {"application/problem+json": {"schema": PROBLEM_REF}}}
