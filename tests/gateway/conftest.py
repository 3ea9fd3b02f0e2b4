"""One gateway in front of five fake services, shared by the tests that do not disturb it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.gateway import find_nginx
from tests.gateway.harness import Gateway, Upstream, run_gateway, run_services

Start = Callable[..., Gateway]


@pytest.fixture(scope="session")
def nginx() -> str:
    """Return the nginx that `make run` would use."""
    return find_nginx()


@pytest.fixture(scope="session")
def upstreams() -> Iterator[dict[str, Upstream]]:
    """Return the five services."""
    with run_services() as upstreams:
        yield upstreams


@pytest.fixture(scope="session")
def gateway(
    nginx: str, upstreams: dict[str, Upstream], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """Return the gateway in front of the services, in a path with spaces."""
    folder: Path = tmp_path_factory.mktemp("a gateway")
    servers = {name: upstream.address for name, upstream in upstreams.items()}
    with run_gateway(nginx, folder, servers) as gateway:
        gateway.upstreams = upstreams
        yield gateway


@pytest.fixture(scope="module")
def start(
    nginx: str, upstreams: dict[str, Upstream], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    """Start gateways with settings. Tests of a module with the same settings share a gateway."""
    servers = {name: upstream.address for name, upstream in upstreams.items()}
    started: dict[frozenset[tuple[str, str]], Gateway] = {}
    with ExitStack() as running:

        def start_one(**values: str) -> Gateway:
            settings = frozenset(values.items())
            if settings not in started:
                folder = tmp_path_factory.mktemp("a gateway")
                gateway = running.enter_context(run_gateway(nginx, folder, servers, **values))
                gateway.upstreams = upstreams
                started[settings] = gateway
            return started[settings]

        yield start_one
