"""Each service answers any call as its OpenAPI document describes, and never with a 500."""

import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import ClassVar

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

pytestmark = [pytest.mark.shop, pytest.mark.xdist_group("attacked"), pytest.mark.timeout(900)]

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# The caller of each service's internal routes.
CALLERS = {
    "auth-service": "orders-service",
    "catalog-service": "orders-service",
    "payments-service": "orders-service",
    "orders-service": "payments-service",
}
how_often = pytest.mark.parametrize("examples", [2, pytest.param(12, marks=pytest.mark.long)])
# An authorized caller gets an endless answer there; tests/logs/test_stream.py covers it.
ENDLESS = frozenset({"/logs/stream"})
LONGEST_LINE = 8000  # Longest path with query that reaches a service, in characters, roughly.


@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def write_lines(_context: object, value: object) -> bytes:
    """Send a generated value as a line of a file."""
    return json.dumps(value).encode() + b"\n"


@pytest.fixture(scope="module")
def processes(attacked: ProcessStack) -> ProcessStack:
    """A separate stack, because generated calls change products, users and orders."""
    return attacked


class Admin:
    """An admin who logs in again when generated calls end the session or change the account."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._account: dict[str, str] = {}
        self.headers: dict[str, str] = {}

    def is_in(self) -> bool:
        """Return whether the token is still the token of an admin."""
        answer = requests.get(f"{self._url}/auth/me", headers=self.headers, timeout=20)
        return answer.status_code == 200 and answer.json()["role"] == "admin"

    def come_in(self) -> None:
        """Log in again if the session has ended; register again if that fails."""
        if self.headers and self.is_in():
            return
        if self._account:
            self._log_in()
        if not self.headers or not self.is_in():
            self._register()
            self._log_in()
            assert self.is_in()

    def _log_in(self) -> None:
        answer = requests.post(f"{self._url}/auth", json=self._account, timeout=20)
        token = answer.json().get("access_token")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def _register(self) -> None:
        self._account = {"username": f"admin-{secrets.token_hex(6)}", "password": "correct horse battery"}
        with Shopper(self._url) as admin, Shopper(self._url) as shopper:
            admin.log_in()
            shopper.post("/auth/register", json=self._account).raise_for_status()
            me = shopper.get("/auth/me").json()["id"]
            change = {"role": "admin", "current_password": "admin"}
            admin.patch(f"/auth/users/{me}", json=change).raise_for_status()


class Service:
    """A service that calls the internal routes of another one; its token outlives every generated call."""

    def __init__(self, stack: ProcessStack, name: str) -> None:
        self.headers = service_headers(stack, name)

    def come_in(self) -> None:
        """Do nothing: the token does not expire during the test."""


class Stranger:
    """A caller without a token."""

    headers: ClassVar[dict[str, str]] = {}

    def come_in(self) -> None:
        """Do nothing."""


Caller = Admin | Service | Stranger


@pytest.fixture(scope="module")
def admin(processes: ProcessStack) -> Admin:
    """One admin for all documents, whose many calls do not pass the gateway with its limits."""
    return Admin(processes.describe()["services"]["auth-service"]["url"])


def service_headers(stack: ProcessStack, caller: str) -> dict[str, str]:
    """Return the header with a service's own token, issued for its real secret."""
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


def check(
    base_url: str, operation: APIOperation, mode: GenerationMode, caller: Caller, examples: int
) -> None:
    """Send generated calls of one operation, and compare each answer with the document."""

    @settings(
        max_examples=examples,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def send(case: Case) -> None:
        # The previous call may have ended the session, and this one must reach the application.
        caller.come_in()
        answer = case.call(base_url=base_url, headers=caller.headers, timeout=20)
        assert answer.status_code != 500, f"{case.as_curl_command()}: {answer.text}"
        if answer.status_code == 414:
            # gunicorn refuses such a line before the application; the gateway passes none of this length.
            assert len(answer.request.path_url) > LONGEST_LINE
            return
        case.validate_response(answer, checks=CHECKS)

    # Some operations have no input that could be invalid.
    with suppress(Unsatisfiable):
        send()


def find_failures(
    stack: ProcessStack, service: str, mode: GenerationMode, caller: Caller, examples: int
) -> dict[str, str]:
    """Check every operation of a service's document; return what is wrong with each that fails."""
    failures = {}
    for base_url, operation in operations_of(stack, service):
        if operation.path in ENDLESS and not isinstance(caller, Stranger):
            continue
        by = caller
        if isinstance(caller, Admin) and operation.path.startswith("/internal/"):
            by = Service(stack, CALLERS[service])
        try:
            check(base_url, operation, mode, by, examples)
        except Exception as error:  # Several error types mean that an answer is not documented.
            failures[operation.label] = str(error)
    return failures


@how_often
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("service", SERVICES)
def test_every_answer_is_documented(processes, admin, service, mode, examples):
    assert not find_failures(processes, service, mode, admin, examples)


@how_often
@pytest.mark.parametrize("service", SERVICES)
def test_every_answer_without_a_token_is_documented(processes, service, examples):
    assert not find_failures(processes, service, GenerationMode.POSITIVE, Stranger(), examples)
