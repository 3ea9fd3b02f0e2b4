"""What is special about the process stack."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.catalog.upstreams import FakeUpstream
from tests.stacks import ROOT, ProcessStack, Shopper, find_free_port, find_processes, read_instances
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(300)]


def run_to_its_end(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run a stack that is expected not to start."""
    return subprocess.run(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def start_stack(tmp_path: Path) -> Iterator[Callable[..., ProcessStack]]:
    """Start a stack that only this test uses; stop it at the end if it still runs."""
    started: list[ProcessStack] = []

    def start(**environment: str) -> ProcessStack:
        stack = ProcessStack(tmp_path / "state", **environment)
        started.append(stack)
        stack.start()
        return stack

    yield start
    for stack in started:
        if stack.process.poll() is None:
            stack.stop()


def test_two_replicas_share_the_work(processes):
    with Shopper(processes.url) as shopper:
        assert read_instances(shopper, "catalog-service", seconds=1) == {
            "catalog-service-1",
            "catalog-service-2",
        }
        assert read_instances(shopper, "auth-service", seconds=0.5) == {"auth-service-1"}


def test_it_greets_with_the_address_and_the_credentials(processes):
    assert f"http://localhost:{processes.port}" in processes.output()
    assert "admin / admin" in processes.output()


def test_the_state_is_for_its_owner_only(processes):
    assert processes.state.stat().st_mode & 0o777 == 0o700


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_and_leaves_no_process(start_stack, how):
    stack = start_stack()
    assert find_processes(stack.state)
    assert stack.stop(how) == 0
    wait_for(lambda: not find_processes(stack.state))


def test_killed_altogether_it_starts_again_and_killed_alone_the_supervisor_takes_everything_with_it(
    start_stack,
):
    stack = start_stack()
    with Shopper(stack.url) as shopper:
        token = shopper.log_in()
    description = stack.describe()
    pids = [replica["pid"] for service in description["services"].values() for replica in service["replicas"]]
    for pid in [stack.process.pid, description["gateway"]["pid"], description["postgres"]["pid"], *pids]:
        os.kill(pid, signal.SIGKILL)
    stack.process.wait()
    stack.start()
    with Shopper(stack.url) as shopper:
        assert shopper.get("/products", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert find_processes(stack.state)
    stack.process.kill()
    stack.process.wait()
    wait_for(lambda: not find_processes(stack.state))


def test_a_port_that_is_taken_gets_one_sentence(processes, tmp_path):
    done = run_to_its_end(PORT=str(processes.port), STATE=str(tmp_path / "state"))
    assert done.returncode == 1
    assert len(done.stdout.strip().splitlines()) == 1
    assert str(processes.port) in done.stdout


def test_a_state_in_use_gets_one_sentence(processes):
    done = run_to_its_end(PORT=str(find_free_port()), STATE=str(processes.state))
    assert done.returncode == 1
    assert len(done.stdout.strip().splitlines()) == 1


def test_published_to_others_it_tells_a_password_once_copies_its_source_and_stops_on_a_hangup(
    start_stack, fake_server
):
    upstream = FakeUpstream(fake_server)
    upstream.products = [
        {"id": number, "title": f"Thing {number}", "price": 1.5, "description": "d"}
        for number in range(1, 131)
    ]
    stack = start_stack(BIND="0.0.0.0", CATALOG_UPSTREAM_URL=upstream.url)
    told = [line for line in stack.output().splitlines() if "admin password" in line]
    assert len(told) == 1
    password = told[0].split()[-1]
    with Shopper(stack.url) as shopper:
        assert shopper.post("/auth", json={"username": "admin", "password": "admin"}).status_code == 401
        assert shopper.post("/auth", json={"username": "admin", "password": password}).status_code == 200
        last = wait_for(lambda: (answer := shopper.get("/products/130")).status_code == 200 and answer.json())
        assert last["title"] == "Thing 130"
        assert last["brand"] is None
    # The terminal that is closed sends this signal; the other two stop a stack in a test of their own.
    assert find_processes(stack.state)
    assert stack.stop(signal.SIGHUP) == 0
    wait_for(lambda: not find_processes(stack.state))
    stack.start()
    assert stack.output().count("admin password") == 1
