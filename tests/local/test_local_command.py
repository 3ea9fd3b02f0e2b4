"""A service's command, run as the service itself runs."""

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
    """A process that stands for a running service."""
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
    """Something that holds the state folder, as a running stack does."""
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


def test_what_a_stack_that_was_killed_has_left_leads_to_nobody_else_s_process(tmp_path, service, stack):
    describe(tmp_path, service.pid)
    stack.close()
    with pytest.raises(CannotStart, match="No shop runs"):
        find_environment(tmp_path, "auth-service")
    docker = Mock(side_effect=FileNotFoundError)
    with patch("subprocess.run", docker), pytest.raises(CannotStart, match="No shop runs"):
        roll({"STATE": str(tmp_path)}, "auth-service")
    assert service.poll() is None


def test_it_becomes_the_command_with_its_words_and_its_exit_code(tmp_path, service):
    describe(tmp_path, service.pid)
    done = run(tmp_path, "auth-service", "json.tool", "--help")
    assert done.returncode == 0
    assert "json.tool" in done.stdout
    assert run(tmp_path, "auth-service", "json.tool", "--nonsense").returncode == 2


@pytest.mark.parametrize(
    ("name", "pids", "sentence"),
    [
        ("auth-service", [None], "auth-service does not run just now."),
        ("auth-service", [], "auth-service does not run just now."),
        ("nobody", [], "nobody does not run just now."),
        ("auth-service", [2**22 + 1], "auth-service cannot be asked how it was started"),
    ],
)
def test_what_does_not_run_is_said_in_a_sentence(tmp_path, name, pids, sentence):
    describe(tmp_path, *pids)
    with pytest.raises(CannotStart, match=sentence):
        find_environment(tmp_path, name)


def test_without_a_shop_or_words_it_says_what_it_needs(tmp_path):
    done = run(tmp_path, "auth-service", "auth.keys", "list")
    assert done.returncode == 1
    assert done.stderr == f"No shop runs with its state in {tmp_path}; start one with `make run`.\n"
    assert "usage: " in run(tmp_path).stderr
