"""Databases on separate servers behind PgBouncer in transaction mode: a storm, and then the audit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres import Server
from tests.deploy.launch import SEPARATE
from tests.faults import test_storm as storms
from tests.stacks import ROOT, ProcessStack

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


class SpreadStack(ProcessStack):
    """A process stack whose catalog, orders and payments each have a PostgreSQL behind a PgBouncer."""

    def __init__(self, state: Path, **environment: str) -> None:
        super().__init__(state, module="tests.deploy.launch", **environment)

    def list_replicas(self) -> list[str]:
        """Return the names of all parts that may get a fault."""
        return [*super().list_replicas(), "pgbouncer", *(f"postgres-{service}" for service in SEPARATE)]

    def database_url(self, name: str) -> str:
        """Return the URL of a database, bypassing the PgBouncer."""
        description = self.describe()
        server = description.get(f"postgres-{name}-service", description["postgres"])
        password = Path(description["postgres"]["superuser_password_file"]).read_text(encoding="utf-8")
        return Server(server["port"], password.strip(), server["pid"] or 0).url(database=name)

    def audit(self) -> subprocess.CompletedProcess[str]:
        """Audit the books on all database servers."""
        names = ("auth", "catalog", "orders", "payments", "logs")
        urls = {f"AUDIT_URL_{name.upper()}": self.database_url(name) for name in names}
        return subprocess.run(
            [sys.executable, "-m", "tools.books"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **urls},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpreadStack]:
    """Such a stack, with two replicas of each service that takes part in a checkout."""
    if shutil.which("pgbouncer", path="/usr/bin:/usr/sbin:/usr/local/bin") is None:
        missing = "pgbouncer is not installed"
        assert not os.environ.get("REQUIRE_PGBOUNCER"), f"REQUIRE_PGBOUNCER is set, but {missing}."
        pytest.skip(f"{missing}, so the tests of separate database servers are skipped")
    scale = ",".join(f"{service}={number}" for service, number in storms.REPLICAS.items())
    stack = SpreadStack(tmp_path_factory.mktemp("spread") / "state", SCALE=scale, RATE_LIMITS="off")
    stack.start()
    yield stack
    stack.stop()


def count_tables(url: str) -> int:
    """Return the number of tables in a database."""
    with psycopg.connect(url) as server:
        [(number,)] = server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return int(number)


@pytest.mark.parametrize("service", SEPARATE)
def test_a_services_database_is_on_its_own_server(spread: SpreadStack, service: str) -> None:
    name = service.removesuffix("-service")
    url, main = spread.database_url(name), spread.describe()["postgres"]["port"]
    assert count_tables(url) > 1
    assert (
        count_tables(url.replace(f":{spread.describe()[f'postgres-{service}']['port']}/", f":{main}/")) == 0
    )


@pytest.mark.usefixtures("spread")
def test_a_storm_loses_nothing_and_every_response_holds_true(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    storms.test_a_storm_loses_nothing_and_every_response_holds_true("spread", request, capsys)
