"""The process stack: its start, its signals and its end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

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


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessStack]:
    """A stack that listens on all addresses, used by this file only."""
    stack = ProcessStack(tmp_path_factory.mktemp("own") / "state", BIND="0.0.0.0")
    yield stack
    if is_running(stack):
        stack.stop()


def is_running(stack: ProcessStack) -> bool:
    return hasattr(stack, "process") and stack.process.poll() is None


@pytest.fixture
def running_stack(own_stack: ProcessStack) -> ProcessStack:
    """The stack of this file, started again if the previous test stopped it."""
    if not is_running(own_stack):
        own_stack.start()
    return own_stack


def test_two_replicas_share_the_work(processes):
    with Shopper(processes.url) as shopper:
        both = {"catalog-service-1", "catalog-service-2"}
        wait_for(lambda: read_instances(shopper, "catalog-service", seconds=0.5) == both)
        assert read_instances(shopper, "auth-service", seconds=0.5) == {"auth-service-1"}


def test_the_greeting_shows_the_address_and_the_credentials(processes):
    assert f"http://localhost:{processes.port}" in processes.output()
    assert "admin / admin" in processes.output()


def test_only_the_owner_can_read_the_state(processes):
    assert processes.state.stat().st_mode & 0o777 == 0o700


def test_a_port_in_use_gets_one_sentence(processes, tmp_path):
    done = run_to_its_end(PORT=str(processes.port), STATE=str(tmp_path / "state"))
    assert done.returncode == 1
    assert len(done.stdout.strip().splitlines()) == 1
    assert str(processes.port) in done.stdout


def test_a_state_in_use_gets_one_sentence(processes):
    done = run_to_its_end(PORT=str(find_free_port()), STATE=str(processes.state))
    assert done.returncode == 1
    assert len(done.stdout.strip().splitlines()) == 1


def read_password(stack: ProcessStack) -> str:
    """Return the admin's password, which the first start generates and prints once."""
    [line] = [line for line in stack.output().splitlines() if "admin password" in line]
    return line.split()[-1]


def test_a_published_shop_prints_a_generated_admin_password_once(running_stack):
    password = read_password(running_stack)
    with Shopper(running_stack.url) as shopper:
        assert shopper.post("/auth", json={"username": "admin", "password": "admin"}).status_code == 401
        assert shopper.post("/auth", json={"username": "admin", "password": password}).status_code == 200


def test_the_stack_restarts_on_its_data_after_a_kill_of_everything(running_stack):
    stack, pair = running_stack, {"username": "admin", "password": read_password(running_stack)}
    with Shopper(stack.url) as shopper:
        token = shopper.post("/auth", json=pair).json()["access_token"]
    description = stack.describe()
    pids = [replica["pid"] for service in description["services"].values() for replica in service["replicas"]]
    for pid in [stack.process.pid, description["gateway"]["pid"], description["postgres"]["pid"], *pids]:
        os.kill(pid, signal.SIGKILL)
    stack.process.wait()
    stack.start()
    with Shopper(stack.url) as shopper:
        assert shopper.get("/products", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    # The password was not printed again.
    assert read_password(stack) == pair["password"]


# Other stacks of the tests are stopped with SIGTERM, and leave no process. `local` tests each signal on a small
# stack.
@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_stops_everything_and_leaves_no_process(running_stack, how):
    assert find_processes(running_stack.state)
    assert running_stack.stop(how) == 0
    wait_for(lambda: not find_processes(running_stack.state))


def test_a_killed_supervisor_leaves_no_process(running_stack):
    running_stack.process.kill()
    running_stack.process.wait()
    wait_for(lambda: not find_processes(running_stack.state))
