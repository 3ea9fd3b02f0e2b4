"""Databases on servers of their own, behind PgBouncer in transaction mode: a storm, and the books after."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres import Server
from tests.deploy.launch import APART
from tests.faults import test_storm as storms
from tests.stacks import ROOT, ProcessStack

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


class SpreadStack(ProcessStack):
    """A process stack whose catalog, orders and payments have a PostgreSQL each, behind a PgBouncer."""

    def __init__(self, state: Path, **environment: str) -> None:
        super().__init__(state, module="tests.deploy.launch", **environment)

    def list_replicas(self) -> list[str]:
        """Return the name of everything that may be struck."""
        return [*super().list_replicas(), "pgbouncer", *(f"postgres-{service}" for service in APART)]

    def database_url(self, name: str) -> str:
        """Return where a database is, past the PgBouncer."""
        description = self.describe()
        server = description.get(f"postgres-{name}-service", description["postgres"])
        password = Path(description["postgres"]["superuser_password_file"]).read_text(encoding="utf-8")
        return Server(server["port"], password.strip(), server["pid"] or 0).url(database=name)

    def audit(self) -> subprocess.CompletedProcess[str]:
        """Look over the books, each where it is."""
        names = ("auth", "catalog", "orders", "payments", "logs")
        urls = {f"AUDIT_URL_{name.upper()}": self.database_url(name) for name in names}
        return subprocess.run(
            [sys.executable, "-m", "local.audit"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **urls},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpreadStack]:
    """Such a stack, with two replicas of what takes part in a checkout."""
    if shutil.which("pgbouncer", path="/usr/bin:/usr/sbin:/usr/local/bin") is None:
        assert not os.environ.get("REQUIRE_PGBOUNCER"), "REQUIRE_PGBOUNCER is set, and there is no pgbouncer."
        pytest.skip("pgbouncer is not installed, so databases on servers of their own are left out")
    scale = ",".join(f"{service}={number}" for service, number in storms.REPLICAS.items())
    stack = SpreadStack(tmp_path_factory.mktemp("spread") / "state", SCALE=scale, RATE_LIMITS="off")
    stack.start()
    yield stack
    stack.stop()


def count_tables(url: str) -> int:
    """Return how many tables a database has."""
    with psycopg.connect(url) as server:
        [(number,)] = server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return int(number)


@pytest.mark.parametrize("service", APART)
def test_a_services_database_is_on_the_server_of_its_own(spread: SpreadStack, service: str) -> None:
    name = service.removesuffix("-service")
    url, main = spread.database_url(name), spread.describe()["postgres"]["port"]
    assert count_tables(url) > 1
    assert (
        count_tables(url.replace(f":{spread.describe()[f'postgres-{service}']['port']}/", f":{main}/")) == 0
    )


@pytest.mark.usefixtures("spread")
def test_in_a_storm_nothing_is_lost_and_every_answer_is_true(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    storms.test_in_a_storm_nothing_is_lost_and_every_answer_is_true("spread", request, capsys)
