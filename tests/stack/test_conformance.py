"""Whatever a caller sends, each service answers as its OpenAPI document says, and never with a 500."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.stacks import SERVICES, ProcessStack, Shopper

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Who calls the internal routes of each service.
CALLERS = {
    "auth-service": "orders-service",
    "catalog-service": "orders-service",
    "payments-service": "orders-service",
    "orders-service": "payments-service",
}
EXAMPLES = 12
# What is let in there is answered without end; tests/logs/test_stream.py reads it.
ENDLESS = frozenset({"/logs/stream"})
LONGEST_LINE = 8000  # Of characters in a path with its query, roughly, that reach a service.


@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def write_lines(_context: object, value: object) -> bytes:
    """Send what was made up as a line of a file."""
    return json.dumps(value).encode() + b"\n"


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessStack]:
    """A stack of its own, since what is made up changes products, users and orders."""
    stack = ProcessStack(tmp_path_factory.mktemp("conformance") / "state")
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def make_admin(processes: ProcessStack) -> Callable[[], dict[str, str]]:
    """Make admins for a few calls each, which may log out and guess passwords; return the headers of one."""
    numbers = count(1)

    def make() -> dict[str, str]:
        pair = {"username": f"conformance-{next(numbers)}", "password": "correct horse battery"}
        with Shopper(processes.url) as admin, Shopper(processes.url) as shopper:
            admin.log_in()
            shopper.post("/auth/register", json=pair).raise_for_status()
            me = shopper.get("/auth/me").json()["id"]
            admin.patch(f"/auth/users/{me}", json={"role": "admin"}).raise_for_status()
            answer = shopper.post("/auth", json=pair)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    return make


def service_headers(stack: ProcessStack, caller: str) -> dict[str, str]:
    """Return the header by which a service proves itself, with its real secret."""
    secret = (stack.state / "secrets" / caller / "client-secret").read_text().strip()
    answer = requests.post(
        f"{stack.url}/auth/token",
        data={"grant_type": "client_credentials"},
        auth=(caller, secret),
        timeout=10,
    )
    return {"X-Service-Authorization": f"Bearer {answer.json()['access_token']}"}


def operations_of(stack: ProcessStack, service: str) -> Iterator[tuple[str, APIOperation]]:
    """Yield every operation of a service's document, and the address of the service itself."""
    base_url = stack.describe()["services"][service]["url"]
    schema = schemathesis.openapi.from_url(f"{base_url}/openapi.json")
    for found in schema.get_all_operations():
        yield base_url, found.ok()


def check(base_url: str, operation: APIOperation, mode: GenerationMode, headers: dict[str, str]) -> None:
    """Send made-up calls of one operation, and compare each answer with the document."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def send(case: Case) -> None:
        answer = case.call(base_url=base_url, headers=headers, timeout=20)
        assert answer.status_code != 500, f"{operation.label}: {answer.text}"
        if answer.status_code == 414:
            # gunicorn's own word, before the application; the gateway lets no line of this length through.
            assert len(answer.request.path_url) > LONGEST_LINE
            return
        case.validate_response(answer, checks=CHECKS)

    # Some operations take nothing that could be wrong.
    with suppress(Unsatisfiable):
        send()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("service", SERVICES)
def test_every_answer_is_in_the_document(processes, make_admin, service, mode):
    for base_url, operation in operations_of(processes, service):
        if operation.path in ENDLESS:
            continue
        is_internal = operation.path.startswith("/internal/")
        headers = service_headers(processes, CALLERS[service]) if is_internal else make_admin()
        check(base_url, operation, mode, headers)


@pytest.mark.parametrize("service", SERVICES)
def test_without_a_token_every_answer_is_in_the_document_too(processes, service):
    for base_url, operation in operations_of(processes, service):
        check(base_url, operation, GenerationMode.POSITIVE, {})
