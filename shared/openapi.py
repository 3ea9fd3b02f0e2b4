"""Complete the OpenAPI document with what APIFlask does not know: access rules and errors.

@routes.doc(responses=document_errors(OrderNotFound, OutOfStock(lines=[…])))
"""

import re
from collections.abc import Iterable
from typing import Any

from apiflask import APIFlask
from pydantic import BaseModel
from werkzeug.exceptions import RequestEntityTooLarge

from shared import errors
from shared.access import Access, cookie_name
from shared.errors import CONTENT_TYPE, Problem, describe, title_of

Responses = dict[int | str, Any]

DESCRIPTION = """\
Bodies are JSON. Times are RFC 3339 in UTC. An amount of money is an integer in minor units, with its ISO 4217
currency code.

A list has `data` and `next`. To get the next page, send `next` as `cursor`; on the last page it is null.

Errors are `application/problem+json` (RFC 9457): `code` is stable and for programs, `detail` is for people.
Every response has an `X-Request-ID` header; errors repeat it in the body.
"""
INTERNAL = {
    "name": "Internal",
    "description": "For other services and for operators; not reachable through the gateway.",
}
# Routes for operators, and the one that the gateway itself calls.
INTERNAL_BLUEPRINTS = {"health", "verdict"}
PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
REQUEST_ID = "2f7a9c41d0b84e6c8a35e1f09b7d6c52"  # In examples.


class FieldProblem(BaseModel):
    """The problem with one field."""

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
    error_count: int | None = None


class ContentTooLarge(Problem):
    """The body exceeds the limit; werkzeug refuses it with this status and detail."""

    status = 413
    code = "content_too_large"
    detail = RequestEntityTooLarge.description


def document_errors(*problems: Problem | type[Problem]) -> Responses:
    """Return the OpenAPI `responses` of an operation's errors, each with an example body.

    Pass an instance instead of a class if the body has extra members.
    """
    responses: Responses = {}
    for problem in problems:
        made = problem if isinstance(problem, Problem) else problem()
        answer = responses.setdefault(
            made.status,
            {
                "description": title_of(made.status),
                "content": {CONTENT_TYPE: {"schema": PROBLEM_REF, "examples": {}}},
            },
        )
        body = describe(made.status, made.code, made.detail, REQUEST_ID, made.extra)
        answer["content"][CONTENT_TYPE]["examples"][made.code] = {"summary": made.detail, "value": body}
    return responses


def refer(model: type[BaseModel], description: str) -> dict[str, Any]:
    """Return a response that has the same body as another status of the operation."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def complete(
    app: APIFlask, spec: dict[str, Any], rules: dict[str, Access], *, production: bool
) -> dict[str, Any]:
    """Add security schemes, and the security and implied errors of each operation."""
    spec["info"]["description"] = DESCRIPTION
    components = spec.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    for rule in app.url_map.iter_rules():
        blueprint = rule.endpoint.rpartition(".")[0]
        path = spec.get("paths", {}).get(re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule), {})
        for method in rule.methods or ():
            if method.lower() in path and blueprint in rules:
                operation, access = path[method.lower()], rules[blueprint]
                view = app.view_functions[rule.endpoint]
                operation["operationId"] = _to_camel(rule.endpoint.rpartition(".")[2])
                if "requestBody" in operation:
                    # `body_optional` marks a view that accepts a call without a body.
                    operation["requestBody"]["required"] = not getattr(view, "body_is_optional", False)
                if access.services or blueprint in INTERNAL_BLUEPRINTS:
                    operation |= {"tags": [INTERNAL["name"]], "x-internal": True}
                _describe_access(operation, access)
                implied = document_errors(*_imply_errors(operation, access, method, schemas))
                _add_errors(operation["responses"], implied)
    for schema in schemas.values():
        if "examples" in schema:
            schema["examples"] = [_arrange(example, schema, schemas) for example in schema["examples"]]
    operations = [operation for path in spec["paths"].values() for operation in path.values()]
    tags = {tag for operation in operations for tag in operation["tags"]}
    # Blueprints with different access rules may share a tag.
    named = {tag["name"]: tag for tag in spec["tags"] if tag["name"] in tags - {INTERNAL["name"]}}
    spec["tags"] = [*named.values(), INTERNAL]
    schemes = {name for operation in operations for scheme in operation["security"] for name in scheme}
    described = _describe_security(cookie_name(production=production))
    components["securitySchemes"] = {name: what for name, what in described.items() if name in schemes}
    return spec


def _describe_security(cookie: str) -> dict[str, Any]:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `access_token` of `POST /auth`, `/auth/guest` or `/auth/token`.",
        },
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "The same token in a cookie. Logging in sets it, and a browser sends it.",
        },
        "service": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Service-Authorization",
            "description": "`Bearer` and a service's own token. The gateway strips this header.",
        },
        "client": {
            "type": "http",
            "scheme": "basic",
            "description": "The client's id and secret, in the header or in the form.",
        },
    }


def _describe_access(operation: dict[str, Any], access: Access) -> None:
    """Add the operation's security, and a sentence that lists the callers."""
    if access.is_public:
        # A route without a token may still require a client's credentials.
        operation.setdefault("security", [])
        return
    if access.services:
        operation["security"] = [{"service": []}]
        callers = sorted(access.services)
    else:
        operation["security"] = [{"bearer": []}, {"cookie": []}]
        callers = sorted(access.roles)
        if access.scope:
            callers.append(f"integrators with the scope `{access.scope}`")
    sentence = f"May be called by: {', '.join(callers)}."
    operation["description"] = "\n\n".join(filter(None, [operation.get("description"), sentence]))


def _imply_errors(
    operation: dict[str, Any], access: Access, method: str, schemas: dict[str, Any]
) -> Iterable[Problem | type[Problem]]:
    """Yield the errors that follow from the access rule and from the operation's input."""
    if not access.is_public:
        yield from (errors.TokenMissing, errors.TokenInvalid, errors.Forbidden)
        if not access.services and method != "GET":
            yield errors.CrossSite
        yield from (errors.KeysUnavailable, errors.SignOffsUnavailable)
    yield errors.DatabaseUnavailable
    parameters = operation.get("parameters", [])
    if any(parameter["in"] == "path" for parameter in parameters):
        yield errors.NotFound
    query = [parameter for parameter in parameters if parameter["in"] == "query"]
    if query:
        needed = [parameter["name"] for parameter in query if parameter.get("required")]
        yield _refuse_field("query", needed, query[0]["name"])
    if "requestBody" in operation:
        yield ContentTooLarge
        body = operation["requestBody"]["content"].get("application/json", {}).get("schema", {})
        if "$ref" in body:
            yield from (errors.MalformedBody, errors.BodyTooComplex, errors.UnsupportedMediaType)
            schema = schemas[body["$ref"].rpartition("/")[2]]
            yield _refuse_field("json", schema.get("required", []), next(iter(schema["properties"])))


def _refuse_field(location: str, required: list[str], first: str) -> Problem:
    field, detail = (required[0], "Field required") if required else (first, "Input should be a valid value")
    return errors.ValidationFailed(errors=[{"location": location, "field": field, "detail": detail}])


def _add_errors(responses: dict[str, Any], more: Responses) -> None:
    """Add errors to those that the operation documents itself, which take precedence and are listed first."""
    for status, answer in sorted(more.items()):
        known: Any = responses.setdefault(str(status), answer)
        if known is not answer and CONTENT_TYPE in known["content"]:
            own, other = (one["content"][CONTENT_TYPE]["examples"] for one in (known, answer))
            known["content"][CONTENT_TYPE] = {"schema": PROBLEM_REF, "examples": own | other | own}


def _arrange(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """Return an example with its members in the schema's order; pydantic sorts them alphabetically."""
    for option in (schema, *schema.get("anyOf", ())):
        found = schemas[option["$ref"].rpartition("/")[2]] if "$ref" in option else option
        if isinstance(value, list) and "items" in found:
            return [_arrange(item, found["items"], schemas) for item in value]
        if isinstance(value, dict) and "properties" in found:
            members = found["properties"].items()
            return {name: _arrange(value[name], member, schemas) for name, member in members if name in value}
    return value


def _to_camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
