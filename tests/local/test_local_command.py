"""A service's command runs in the environment of the service."""

import fcntl
import json
import os
import subprocess
import sys
from unittest.mock import Mock, patch

import pytest

from local.command import find_environment
from local.errors import CannotStart
from local.roll import roll
from tests.stacks import ROOT


@pytest.fixture
def service():
    """A process in place of a running service."""
    process = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "SERVICE": "auth-service", "ODD": "a=b\nc"},
    )
    # Before that it may not have its environment yet.
    process.stdout.readline()
    yield process
    process.communicate(b"\n")


@pytest.fixture(autouse=True)
def stack(tmp_path):
    """A lock on the state folder, as a running stack holds it."""
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def describe(state, *pids):
    replicas = [{"instance": f"auth-service-{number}", "pid": pid} for number, pid in enumerate(pids, 1)]
    (state / "run").mkdir()
    description = {"services": {"auth-service": {"url": "http://127.0.0.1:1", "replicas": replicas}}}
    (state / "run" / "stack.json").write_text(json.dumps(description))


def run(state, *words):
    return subprocess.run(
        [sys.executable, "-m", "local.command", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "STATE": str(state)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_gets_the_environment_of_the_running_service(tmp_path, service):
    describe(tmp_path, None, service.pid)
    environment = find_environment(tmp_path, "auth-service")
    assert environment["SERVICE"] == "auth-service"
    assert environment["ODD"] == "a=b\nc"
    assert "STATE" not in environment


def test_a_stale_description_of_a_killed_stack_is_not_used(tmp_path, service, stack):
    describe(tmp_path, service.pid)
    stack.close()
    with pytest.raises(CannotStart, match="No shop runs"):
        find_environment(tmp_path, "auth-service")
    docker = Mock(side_effect=FileNotFoundError)
    with patch("subprocess.run", docker), pytest.raises(CannotStart, match="No shop runs"):
        roll({"STATE": str(tmp_path)}, "auth-service")
    assert service.poll() is None


def test_the_command_gets_its_arguments_and_sets_the_exit_code(tmp_path, service):
    describe(tmp_path, service.pid)
    done = run(tmp_path, "auth-service", "json.tool", "--help")
    assert done.returncode == 0
    assert "json.tool" in done.stdout
    assert run(tmp_path, "auth-service", "json.tool", "--nonsense").returncode == 2


@pytest.mark.parametrize(
    ("name", "pids", "sentence"),
    [
        ("auth-service", [None], "auth-service is not running."),
        ("auth-service", [], "auth-service is not running."),
        ("no-service", [], "no-service is not running."),
        ("auth-service", [2**22 + 1], "The environment of auth-service cannot be read"),
    ],
)
def test_a_stopped_service_is_reported_in_a_sentence(tmp_path, name, pids, sentence):
    describe(tmp_path, *pids)
    with pytest.raises(CannotStart, match=sentence):
        find_environment(tmp_path, name)


def test_a_missing_shop_or_argument_is_reported(tmp_path):
    done = run(tmp_path, "auth-service", "auth.commands.signing_keys", "list")
    assert done.returncode == 1
    assert done.stderr == f"No shop runs with its state in {tmp_path}. Start one with `make run`.\n"
    assert "usage: " in run(tmp_path).stderr
