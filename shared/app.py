"""Build the Flask application of a service.

app = build_app(settings, title="…", database=database, auth=reach_auth(settings))
mount(app, product_routes(…), access=SIGNED_IN)
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, NoReturn, TypeVar

from apiflask import APIBlueprint, APIFlask, HTTPError
from flask import Flask, Request, Response, current_app, g, json, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from shared import __version__, context, errors, openapi
from shared.access import PUBLIC, Access, cookie_name
from shared.background import Background
from shared.database import Database, Schema
from shared.errors import Problem, title_of
from shared.health import Check, health_routes
from shared.json_bounds import find_excess
from shared.log import configure_logging
from shared.metrics import Metrics
from shared.schemas import has_lone_surrogate
from shared.service import migrations_of
from shared.settings import ServiceSettings
from shared.shipping import Shipper, create_shipper
from shared.sign_offs import REFRESH_EVERY
from shared.sinks import Sink, Token
from shared.tokens import Auth, TokenVerifier
from shared.traces import record_request, start_traces, stop_traces

log = logging.getLogger("shopfleet.access")

View = TypeVar("View", bound=Callable[..., Any])

SURROGATE = re.compile(rb"\\u[dD][89abcdefABCDEF]")  # A JSON escape.
MAX_BODY = 1024 * 1024  # Bytes; the gateway has the same limit.


class JsonRequest(Request):
    """A request whose body must be declared as JSON, on every route."""

    @cached_property
    def args(self) -> MultiDict[str, Any]:
        """Return the query; the value of a repeated parameter is a list.

        APIFlask would silently take the first value only.
        """
        pairs = super().args.lists()
        return MultiDict((name, values if len(values) > 1 else values[0]) for name, values in pairs)

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ARG002
        """Return the body; raise UnsupportedMediaType, BodyTooComplex or MalformedBody.

        APIFlask forces the parsing of any content type. A form is not JSON, so `force` is ignored.
        """
        view = current_app.view_functions.get(self.endpoint or "")
        if getattr(view, "body_is_optional", False) and not self.get_data(cache=True):
            return {}
        if excess := find_excess(self.get_data(cache=True)):
            raise errors.BodyTooComplex(excess)
        body = super().get_json(force=False, silent=silent, cache=cache)
        if SURROGATE.search(self.get_data(cache=True)) and has_lone_surrogate(body):
            raise errors.MalformedBody("The body has an unpaired surrogate, which is not a character.")
        return body

    def on_json_loading_failed(self, e: ValueError | None) -> NoReturn:
        """Raise MalformedBody for broken JSON, UnsupportedMediaType if the body is not declared as JSON."""
        raise errors.MalformedBody if e is not None else errors.UnsupportedMediaType


class ServiceFlask(APIFlask):
    """The application of a service, with the access rule of each blueprint."""

    request_class = JsonRequest

    def __init__(
        self,
        settings: ServiceSettings,
        title: str,
        database: Database,
        verifier: TokenVerifier,
        shipper: Shipper | None,
        metrics: Metrics,
        checks: Mapping[str, Check],
    ) -> None:
        super().__init__(
            settings.service,
            title=title,
            version=__version__,
            docs_path=None,
            json_errors=False,
            static_folder=None,  # type: ignore[arg-type]  # Flask takes None for "no static files".
        )
        self.settings = settings
        self.verifier = verifier
        self.cookie = cookie_name(production=settings.production)
        self.access: dict[str, Access] = {}
        self.unrecorded: set[str] = set()
        self.background = Background(metrics.registry)
        self.database = database
        self.shipper = shipper
        self.metrics = metrics
        self.checks = checks

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait up to `seconds` for every check to pass; return whether they did."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                for check in self.checks.values():
                    check()
            except Problem:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.1)
            else:
                return True

    def close(self) -> None:
        """Stop the background threads, ship the remaining records, and close the database connections."""
        self.background.stop()
        stop_traces()
        if self.shipper:
            self.shipper.stop()
        self.database.close()


def build_app(
    settings: ServiceSettings,
    *,
    title: str,
    database: Database,
    auth: Auth,
    checks: Mapping[str, Check] | None = None,
    shipping_token: Token | None = None,
    log_sink: Sink | None = None,
) -> ServiceFlask:
    """Return an application with logging, errors, request ids, health and metrics, and no routes of its own.

    `checks` are the service's own readiness checks, in addition to those of the database and of auth. Log
    records are shipped with a token that the service obtains with its credentials, unless `shipping_token`
    supplies one, or `log_sink` stores the records in this process.
    """
    metrics = Metrics()
    start_traces(settings, database.engine)
    metrics.ask(database.read_pool, every=0)
    metrics.ask(database.read_figures)
    shipper = create_shipper(settings, shipping_token, metrics.registry, log_sink)
    configure_logging(settings, *([shipper] if shipper else []))
    schema = Schema(database, migrations_of(settings.service))
    all_checks = {
        "database": schema.check,
        "keys": auth.keys.check,
        "sign_offs": auth.sign_offs.check,
        **(checks or {}),
    }
    verifier = TokenVerifier(auth, settings.public_url)
    app = ServiceFlask(settings, title, database, verifier, shipper, metrics, all_checks)
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY,
        OPENAPI_VERSION="3.1.0",
        SERVERS=[{"url": "/"}],
        AUTO_OPERATION_ID=True,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        AUTO_404_RESPONSE=False,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # The default provider has this attribute.
    _register_errors(app)
    _register_records(app, metrics)
    mount(app, health_routes(settings, all_checks, metrics), access=PUBLIC, recorded=False)

    @app.spec_processor
    def complete_document(spec: Any) -> Any:
        return openapi.complete(app, spec, app.access, production=settings.production)

    app.background.repeat(auth.sign_offs.refresh, every=REFRESH_EVERY, name="refresh-sign-offs", nudged=False)
    if shipper:
        shipper.start()
    return app


def body_optional(view: View) -> View:
    """Accept a call without a body, as if it had sent an empty object."""
    view.body_is_optional = True  # type: ignore[attr-defined]  # Read by JsonRequest.
    return view


def reads_body(view: View) -> View:
    """Mark a view that reads the body itself."""
    view.reads_body = True  # type: ignore[attr-defined]  # Read by refuse_members.
    return view


def refuse_members(view: View) -> None:
    """Raise ValidationFailed if a JSON body has members and the route accepts no body."""
    takes_body = "body" in getattr(view, "_spec", {}) or getattr(view, "reads_body", False)
    # The body of any other method has no defined meaning (RFC 9110, section 9.3).
    has_meaning = request.method in {"POST", "PUT", "PATCH"}
    if takes_body or not has_meaning or not (request.is_json and request.content_length):
        return
    body = request.get_json()
    if body is None or body == {}:
        return
    names = body if isinstance(body, dict) else {"": None}
    detail = "This call does not accept a body."
    raise errors.ValidationFailed(
        errors=[{"location": "json", "field": name, "detail": detail} for name in names]
    )


def mount(app: ServiceFlask, blueprint: APIBlueprint, *, access: Access, recorded: bool = True) -> None:
    """Register a blueprint with its access rule.

    Requests to routes that are not `recorded` leave no access record. Such routes are polled, or receive
    records themselves.
    """

    @blueprint.before_request
    def admit() -> None:
        access.admit(request, app.verifier, app.cookie, app.settings.public_url)
        # Replicas of two releases call each other, and the newer one may send members that this one ignores.
        if not access.services and request.endpoint:
            refuse_members(app.view_functions[request.endpoint])

    app.access[blueprint.name] = access
    if not recorded:
        app.unrecorded.add(blueprint.name)
    app.register_blueprint(blueprint)


def _register_records(app: ServiceFlask, metrics: Metrics) -> None:
    @app.before_request
    def begin() -> None:
        g.began, g.began_at = time.perf_counter(), time.time_ns()
        work = context.continue_from(request.headers.get("X-Request-ID"), request.headers.get("traceparent"))
        if request.blueprint in app.unrecorded:
            work = replace(work, trace=replace(work.trace, flags=context.NOT_SAMPLED))
        context.enter(work)

    @app.after_request
    def finish(response: Response) -> Response:
        work = context.current()
        if work is None or "began" not in g:
            return response
        seconds = time.perf_counter() - g.began
        route = request.url_rule.rule if request.url_rule else "unrouted"
        response.headers["X-Request-ID"] = work.request_id
        response.headers.setdefault("Cache-Control", "no-store")
        metrics.observe(request.method, route, response.status_code, seconds)
        if request.blueprint not in app.unrecorded:
            described = _describe_request(response, route, seconds, work.caller)
            log.info("%s %s %s", request.method, route, response.status_code, extra=described)
            record_request(f"{request.method} {route}", g.began_at, described)
        return response

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        context.leave()


def _describe_request(
    response: Response, route: str, seconds: float, caller: context.Caller | None
) -> dict[str, Any]:
    """Return an access record's attributes, named by OpenTelemetry's conventions; sizes are in bytes."""
    described = {
        "http.request.method": request.method,
        "http.route": route,
        "http.response.status_code": response.status_code,
        "http.request.body.size": request.content_length or 0,
        "http.response.body.size": response.content_length,
        "duration_ms": round(seconds * 1000, 2),
    }
    if caller:
        described |= {"user.id": caller.sub, "user.role": caller.role, "client.id": caller.client_id}
    return described


def _register_errors(app: Flask) -> None:
    @app.errorhandler(Problem)
    def answer_problem(problem: Problem) -> Response:
        if problem.__cause__ is not None and problem.status >= 500:
            logging.getLogger(__name__).warning("%s: %r", problem.code, problem.__cause__)
        return problem_response(problem.status, problem.code, problem.detail, problem.headers, problem.extra)

    @app.errorhandler(HTTPError)
    def answer_validation(error: HTTPError) -> Response:
        # APIFlask raises it for invalid input, with a detail such as {"json": {"username": ["…"]}}.
        entries = [
            {"location": location, "field": field, "detail": " ".join(messages).removeprefix("Value error, ")}
            for location, fields in error.detail.items()
            for field, messages in fields.items()
        ]
        return answer_problem(errors.ValidationFailed(errors=entries))

    @app.errorhandler(HTTPException)
    def answer_http(error: HTTPException) -> Response:
        status = error.code or 500
        headers: dict[str, str] = {}
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            headers["Allow"] = ", ".join(error.valid_methods)
        code = re.sub(r"[^a-z]+", "_", title_of(status).lower())
        return problem_response(status, code, error.description or title_of(status), headers)

    @app.errorhandler(Exception)
    def answer_unexpected(error: Exception) -> Response:
        logging.getLogger(__name__).error("Unexpected %s", error.__class__.__name__, exc_info=error)
        return answer_problem(Problem())


def problem_response(
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Response:
    """Return an RFC 9457 response with the current request id."""
    work = context.current()
    body = json.dumps(errors.describe(status, code, detail, work.request_id if work else None, extra))
    return Response(body, status=status, headers=dict(headers or {}), content_type=errors.CONTENT_TYPE)
