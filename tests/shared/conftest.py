"""A small service built with `shared`, to test what every service gets from it."""

from collections.abc import Iterator
from typing import Any

import pytest
from apiflask import APIBlueprint
from pydantic import BaseModel

from shared import app as shared_app
from shared.access import ADMIN, PUBLIC, SIGNED_IN, Access, services
from shared.app import ServiceFlask, build_app, mount
from shared.context import current, require_caller
from shared.database import connect
from shared.errors import Problem
from shared.schemas import Body
from shared.settings import ServiceSettings
from tests.fakes import FakeAuth

SOME = Access("some", roles=frozenset({"admin", "service"}), scope="things:read")


class Thing(BaseModel):
    """A body with one field."""

    size: int


class StrictThing(Body):
    """The same body, as public routes declare it."""

    size: int


class Teapot(Problem):
    """An error with every optional part."""

    status = 418
    code = "teapot"
    detail = "I am a teapot."
    headers = {"X-Spout": "short"}


def list_routes(name: str, *, path: str) -> APIBlueprint:
    """Return routes that return the current context."""
    routes = APIBlueprint(name, __name__)

    @routes.route(path, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def show() -> dict[str, Any]:
        work = current()
        return {
            "request_id": work.request_id,
            "trace_id": work.trace.trace_id,
            "span_id": work.trace.span_id,
            "sub": work.caller.sub if work.caller else None,
        }

    return routes


def odd_routes() -> APIBlueprint:
    """Return routes for invalid input and errors."""
    routes = APIBlueprint("odd", __name__)

    @routes.post("/things")
    @routes.input(Thing)
    def make_thing(json_data: Thing) -> dict[str, int]:
        return {"size": json_data.size}

    @routes.post("/strict")
    @routes.input(StrictThing)
    def make_strict_thing(json_data: StrictThing) -> dict[str, int]:
        return {"size": json_data.size}

    @routes.get("/teapot")
    def brew() -> None:
        raise Teapot(lid="shut")

    @routes.get("/bug")
    def fail() -> None:
        raise RuntimeError("a secret detail")

    @routes.get("/caller")
    def show_caller() -> dict[str, str]:
        return {"sub": require_caller().sub}

    return routes


@pytest.fixture
def app(reuse_database, auth: FakeAuth) -> Iterator[ServiceFlask]:
    """The small service, with a route for each access rule."""
    settings = ServiceSettings(
        service="orders-service", instance="orders-1", database_url=reuse_database("orders-service")
    )
    app = build_app(settings, title="Test", database=connect(settings), auth=auth)
    mount(app, list_routes("open", path="/open"), access=PUBLIC)
    mount(app, list_routes("mine", path="/mine"), access=SIGNED_IN)
    mount(app, list_routes("all", path="/all"), access=ADMIN)
    mount(app, list_routes("some", path="/some"), access=SOME)
    mount(
        app, list_routes("inside", path="/internal/x"), access=services("orders-service", "catalog-service")
    )
    mount(app, odd_routes(), access=PUBLIC)
    yield app
    app.close()


@pytest.fixture
def client(app: ServiceFlask) -> Any:
    """A client of the small service."""
    return app.test_client()


@pytest.fixture
def small_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit bodies to 20 bytes."""
    monkeypatch.setattr(shared_app, "MAX_BODY", 20)
