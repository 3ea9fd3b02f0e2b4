"""The routes for operators: `/`, `/healthz`, `/readyz` and `/metrics`."""

from collections.abc import Callable, Mapping

from apiflask import APIBlueprint
from flask import Response
from pydantic import BaseModel, ConfigDict

from shared import __version__
from shared.errors import KeysUnavailable, Problem, Unavailable
from shared.metrics import CONTENT_TYPE, Metrics
from shared.openapi import document_errors
from shared.schemas import example, example_of
from shared.settings import ServiceSettings

Check = Callable[[], str | None]


class Index(BaseModel):
    """The index of a service."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "service": "orders-service",
                "version": "0.1.0",
                "documents": {"openapi": "/docs/orders.json", "health": "/healthz/orders-service"},
            }
        )
    )

    service: str
    version: str
    documents: dict[str, str]


class Health(BaseModel):
    """The identity of a process that works."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"status": "ok", "service": "orders-service", "instance": "orders-service-1", "version": "0.1.0"}
        )
    )

    status: str
    service: str
    instance: str
    version: str


class Readiness(Health):
    """The readiness of the service.

    `problems` has a sentence for each check that failed, `remarks` one for each check that passed with a
    remark.
    """

    model_config = ConfigDict(
        json_schema_extra=example({**example_of(Health), "status": "ready", "problems": {}, "remarks": {}})
    )

    problems: dict[str, str]
    remarks: dict[str, str]


class Starting(Unavailable):
    """A check has not passed yet since the service started."""

    code = "starting"


class NotReady(Unavailable):
    """The service is running but not ready; `problems` has the reasons."""

    code = "not_ready"
    detail = "The service is not ready; see problems."


def health_routes(settings: ServiceSettings, checks: Mapping[str, Check], metrics: Metrics) -> APIBlueprint:
    """Return the routes. A check raises a Problem if it fails, and may return a remark if it passes."""
    routes = APIBlueprint("health", __name__, tag="health")
    about = {"service": settings.service, "instance": settings.instance, "version": __version__}
    reached: set[str] = set()

    def run_checks(names: set[str]) -> tuple[dict[str, str], dict[str, str]]:
        problems, remarks = {}, {}
        for name in sorted(names):
            try:
                remark = checks[name]()
                reached.add(name)
            except Problem as problem:
                problems[name] = problem.detail
            else:
                if remark:
                    remarks[name] = remark
        return problems, remarks

    @routes.get("/")
    @routes.output(Index)
    def show_index() -> Index:
        """Name the service and link its OpenAPI document."""
        name = settings.service.removesuffix("-service")
        return Index(
            service=settings.service,
            version=__version__,
            documents={"openapi": f"/docs/{name}.json", "health": f"/healthz/{settings.service}"},
        )

    @routes.get("/healthz")
    @routes.output(Health)
    @routes.doc(responses=document_errors(Starting(KeysUnavailable.detail)))
    def show_health() -> Health:
        """Report that the process works: 200 once every check has passed, and from then on."""
        problems, _remarks = run_checks(set(checks) - reached)
        if problems:
            raise Starting(" ".join(problems.values()))
        return Health(status="ok", **about)

    @routes.get("/readyz")
    @routes.output(Readiness)
    @routes.doc(responses=document_errors(NotReady(problems={"keys": KeysUnavailable.detail}, remarks={})))
    def show_readiness() -> Readiness:
        """Report whether the service is ready, with reasons if it is not."""
        problems, remarks = run_checks(set(checks))
        if problems:
            raise NotReady(problems=problems, remarks=remarks)
        return Readiness(status="ready", problems={}, remarks=remarks, **about)

    @routes.get("/metrics")
    @routes.doc(hide=True)
    def show_metrics() -> Response:
        return Response(metrics.render(), content_type=CONTENT_TYPE)

    return routes
