"""The process stack: its start, its signals and its end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stacks import ROOT, ProcessStack, Shopper, find_processes, read_instances, reserve_port
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
    done = run_to_its_end(PORT=str(reserve_port()), STATE=str(processes.state))
    assert done.returncode == 1
    assert len(done.stdout.strip().splitlines()) == 1


@pytest.mark.long
def test_a_published_shop_prints_a_generated_admin_password_once(tmp_path: Path) -> None:
    stack = ProcessStack(tmp_path / "state", BIND="0.0.0.0")
    stack.start()
    try:
        stack.restart()
        # The output is that of both starts.
        [line] = [line for line in stack.output().splitlines() if "admin password" in line]
        with Shopper(stack.url) as shopper:
            for password, status in (("admin", 401), (line.split()[-1], 200)):
                answer = shopper.post("/auth", json={"username": "admin", "password": password})
                assert answer.status_code == status
    finally:
        stack.stop()


# The tests of the process stack stop it with SIGTERM. `local` tests each signal on a small stack.
@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_stops_everything_and_leaves_no_process(tmp_path: Path, how: int) -> None:
    stack = ProcessStack(tmp_path / "state")
    stack.start()
    assert find_processes(stack.state)
    assert stack.stop(how) == 0
    wait_for(lambda: not find_processes(stack.state))


@pytest.mark.xdist_group("breakable")
def test_a_killed_supervisor_leaves_no_process_and_the_stack_restarts_on_its_data(
    breakable: ProcessStack,
) -> None:
    token = read_token(breakable)
    assert find_processes(breakable.state)
    breakable.process.kill()
    breakable.process.wait()
    wait_for(lambda: not find_processes(breakable.state))
    breakable.start()
    assert is_accepted(breakable, token)


# `local` kills everything of PostgreSQL, and of a small stack.
@pytest.mark.long
@pytest.mark.xdist_group("breakable")
def test_the_stack_restarts_on_its_data_after_a_kill_of_everything(breakable: ProcessStack) -> None:
    token, description = read_token(breakable), breakable.describe()
    pids = [replica["pid"] for service in description["services"].values() for replica in service["replicas"]]
    for pid in [breakable.process.pid, description["gateway"]["pid"], description["postgres"]["pid"], *pids]:
        os.kill(pid, signal.SIGKILL)
    breakable.process.wait()
    breakable.start()
    assert is_accepted(breakable, token)


def read_token(stack: ProcessStack) -> str:
    """Return a new token of the admin."""
    with Shopper(stack.url) as shopper:
        return shopper.log_in()


def is_accepted(stack: ProcessStack, token: str) -> bool:
    """Return whether the catalogue accepts the token."""
    with Shopper(stack.url) as shopper:
        headers = {"Authorization": f"Bearer {token}"}
        return shopper.get("/products", headers=headers).status_code == 200
