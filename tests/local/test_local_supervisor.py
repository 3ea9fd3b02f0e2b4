"""The supervisor, on dummy programs."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local import logs as logs_module
from local.logs import Logs
from local.processes import GroupRecords, living_processes
from tests.waiting import wait_for

SLEEPER = {"name": "sleeper", "shell": "exec sleep 600"}
# A leader with a child that outlives it, as nginx's workers outlive a killed master.
FAMILY = {"name": "family", "shell": "sleep 600 & wait"}
STUBBORN = {"name": "stubborn", "shell": "trap '' TERM; echo ready; while :; do sleep 600; done"}
ANSWERING = """
import os, socket
listener = socket.socket(fileno=int(os.environ["FD"]))
while True:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(str(os.getpid()).encode())
"""


def lives(pid: int) -> bool:
    return any(each.pid == pid for each in living_processes())


def test_a_killed_program_is_restarted_and_reported(make_stack: Callable[..., Any]) -> None:
    stack = make_stack([SLEEPER])
    stack.says("up")
    first = stack.pid("sleeper")

    os.kill(first, signal.SIGKILL)

    assert "SIGKILL" in stack.says("sleeper ended")
    assert stack.says("sleeper is ready again.")
    assert stack.pid("sleeper") != first


def test_a_connection_waits_while_its_program_restarts(make_stack: Callable[..., Any]) -> None:
    stack = make_stack([{"name": "server", "python": ANSWERING, "socket": True}])
    port = int(stack.says("port").split()[1])
    stack.says("up")

    def ask() -> int:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            return int(connection.recv(100))

    first = ask()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not lives(first))

    assert ask() != first


def test_the_children_of_a_killed_leader_are_killed_before_it_starts_again(
    make_stack: Callable[..., Any],
) -> None:
    stack = make_stack([FAMILY])
    stack.says("up")
    leader = stack.pid("family")
    (child,) = wait_for(lambda: [pid for pid in stack.processes() if pid != leader])

    os.kill(leader, signal.SIGKILL)

    stack.says("family is ready again.")
    assert not lives(child)


def test_programs_stop_in_the_reverse_of_the_order_they_started_in(
    make_stack: Callable[..., Any], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"

    def traced(name: str) -> dict[str, str]:
        # A stop takes a moment, so that the test sees a layer that does not wait for the one above.
        bye = f"echo {name} stopping >> '{trace}'; sleep 0.2; echo {name} stopped >> '{trace}'; exit"
        return {"name": name, "shell": f"trap \"{bye}\" TERM; echo {name} >> '{trace}'; sleep 600 & wait"}

    stack = make_stack([traced("below")], [traced("above")])
    stack.says("up")
    wait_for(lambda: trace.exists() and len(trace.read_text().splitlines()) == 2)

    stack.send(signal.SIGTERM)

    assert stack.exit_code() == 0
    assert trace.read_text().splitlines()[2:] == [
        "above stopping",
        "above stopped",
        "below stopping",
        "below stopped",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_process_is_left_after_a_requested_stop(
    make_stack: Callable[..., Any], number: signal.Signals
) -> None:
    stack = make_stack([SLEEPER, FAMILY], [{**SLEEPER, "name": "another"}])
    stack.says("up")
    assert stack.processes()

    stack.send(number)

    assert stack.exit_code() == 0
    assert stack.processes() == []


def test_a_stop_during_the_start_leaves_no_process(make_stack: Callable[..., Any]) -> None:
    stack = make_stack([SLEEPER], jobs=[{"name": "long-job", "shell": "exec sleep 600"}])
    stack.pid("long-job")

    stack.send(signal.SIGINT)

    assert stack.exit_code() == 0
    assert stack.processes() == []


def test_programs_get_their_stop_signal_when_the_supervisor_is_killed(make_stack: Callable[..., Any]) -> None:
    stack = make_stack([SLEEPER, {"name": "tidy", "shell": "trap 'kill $!; exit' TERM; sleep 600 & wait"}])
    stack.says("up")
    # The shell can end its child only once it has one.
    wait_for(lambda: len(stack.processes()) == 3)

    stack.send(signal.SIGKILL)

    wait_for(lambda: stack.processes() == [])


def test_the_next_start_ends_the_processes_of_a_killed_run(make_stack: Callable[..., Any]) -> None:
    stack = make_stack([FAMILY])
    stack.says("up")
    leader = stack.pid("family")
    (child,) = wait_for(lambda: [pid for pid in stack.processes() if pid != leader])
    stack.send(signal.SIGSTOP)  # A stopped supervisor cannot clean up.
    os.kill(leader, signal.SIGKILL)
    stack.send(signal.SIGKILL)
    stack.exit_code()
    assert lives(child)

    following = make_stack([SLEEPER])

    assert following.says("Ended 1 orphaned processes")
    assert following.says("up")
    assert not lives(child)


def test_a_process_in_another_folder_is_not_signalled_although_its_group_was_recorded(tmp_path: Path) -> None:
    records = GroupRecords(tmp_path)
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        records.add("gateway", stranger.pid, signal.SIGTERM)
        try:
            assert GroupRecords(tmp_path).end_leftovers() == 0
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_recorded_group_in_its_own_folder_is_ended(tmp_path: Path) -> None:
    records = GroupRecords(tmp_path)
    home = records.home("gateway")
    with subprocess.Popen(["sleep", "600"], start_new_session=True, cwd=home) as left:
        records.add("gateway", left.pid, signal.SIGTERM)

        assert GroupRecords(tmp_path).end_leftovers() == 1

        assert left.wait(5) == -signal.SIGTERM


def test_records_of_an_earlier_boot_are_ignored(tmp_path: Path) -> None:
    records = GroupRecords(tmp_path)
    with subprocess.Popen(["sleep", "600"], start_new_session=True, cwd=records.home("gateway")) as stranger:
        records.add("gateway", stranger.pid, signal.SIGTERM)
        file = tmp_path / "groups.json"
        file.write_text(re.sub(r'"boot": "[^"]*"', '"boot": "another"', file.read_text()))
        try:
            assert GroupRecords(tmp_path).end_leftovers() == 0
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_the_delay_before_a_restart_grows_with_each_end(
    make_stack: Callable[..., Any], tmp_path: Path
) -> None:
    flag = tmp_path / "broken"
    moody = {"name": "moody", "shell": f"test -e '{flag}' && exit 7; exec sleep 600"}
    stack = make_stack([moody], first_delay=0.1)
    stack.says("up")

    flag.touch()
    os.kill(stack.pid("moody"), signal.SIGKILL)

    stack.says("restarts in 0.8 s")
    ends = [line for line in stack.lines if "moody ended" in line]
    assert [re.findall(r"in ([\d.]+) s", line)[0] for line in ends] == ["0.1", "0.2", "0.4", "0.8"]
    assert all("exit code 7" in line and "moody.log" in line for line in ends[1:])


def test_a_start_fails_when_a_program_keeps_ending(make_stack: Callable[..., Any], tmp_path: Path) -> None:
    broken = {"name": "broken", "shell": "echo no such thing; exit 1", "ready": str(tmp_path / "never")}
    stack = make_stack([SLEEPER], [broken], first_delay=0.02)

    assert stack.exit_code() == 1
    assert "broken.log" in stack.says("cannot start: broken keeps ending right after its start")
    assert stack.lines[-1] == "no such thing"
    assert stack.processes() == []


def test_a_start_fails_when_a_program_is_not_ready_in_time(
    make_stack: Callable[..., Any], tmp_path: Path
) -> None:
    slow = {"name": "slow", "shell": "echo thinking; exec sleep 600", "ready": str(tmp_path / "never")}
    stack = make_stack([{**slow, "ready_seconds": 0.3}])

    assert stack.exit_code() == 1
    assert "slow.log" in stack.says("cannot start: slow was not ready within")
    assert stack.lines[-1] == "thinking"
    assert stack.processes() == []


def test_the_next_layer_waits_until_the_one_below_is_ready(
    make_stack: Callable[..., Any], tmp_path: Path
) -> None:
    flag = tmp_path / "ready"
    stack = make_stack([{**SLEEPER, "ready": str(flag)}], [{**SLEEPER, "name": "above"}])
    stack.pid("sleeper")
    assert len(stack.processes()) == 1

    flag.touch()

    assert stack.pid("above")


def test_a_job_that_fails_ends_the_start_with_its_output(make_stack: Callable[..., Any]) -> None:
    stack = make_stack([SLEEPER], jobs=[{"name": "migrate", "shell": "echo the table is missing; exit 3"}])

    assert stack.exit_code() == 1
    assert "cannot start: migrate failed (exit code 3):" in stack.lines
    assert "the table is missing" in stack.lines
    assert "up" not in stack.lines


def test_a_successful_job_leaves_no_log(make_stack: Callable[..., Any]) -> None:
    stack = make_stack([SLEEPER], jobs=[{"name": "seed", "shell": "echo admin password: secret"}])

    stack.says("up")

    assert [file.name for file in (stack.state / "log").iterdir()] == ["sleeper.log"]


def test_a_program_that_ignores_its_signal_is_killed_when_its_time_is_over(
    make_stack: Callable[..., Any],
) -> None:
    stack = make_stack([{**STUBBORN, "stop_seconds": 0.3}])
    wait_for(lambda: "ready" in Logs(stack.state / "log").last_lines("stubborn"))

    stack.send(signal.SIGTERM)

    assert stack.exit_code() == 0
    assert stack.says("stubborn did not stop within")
    assert stack.processes() == []


def test_a_second_ctrl_c_kills_the_programs(make_stack: Callable[..., Any]) -> None:
    stack = make_stack([{**STUBBORN, "stop_seconds": 600}])
    wait_for(lambda: "ready" in Logs(stack.state / "log").last_lines("stubborn"))

    stack.send(signal.SIGINT)
    stack.says("stopping")
    stack.send(signal.SIGINT)

    assert stack.exit_code() == 0
    assert stack.processes() == []


def test_a_large_log_is_rotated_while_its_program_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_module, "MOST_BYTES", 10)
    logs = Logs(tmp_path)
    descriptor = logs.open("service")
    os.write(descriptor, b"a long line of the past\n")

    logs.rotate()
    os.write(descriptor, b"now\n")
    os.close(descriptor)

    assert (tmp_path / "service.log.1").read_text() == "a long line of the past\n"
    assert logs.last_lines("service") == "now"


def test_the_gateway_s_oldest_records_are_removed_when_no_service_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_module, "MOST_RECORD_BYTES", 10)
    logs = Logs(tmp_path)
    logs.rotate()
    logs.records.mkdir()
    for minute in ("12-00", "12-01", "12-02"):
        (logs.records / f"2026-01-31T{minute}.log").write_text("12345")

    logs.rotate()

    assert sorted(file.stem[-5:] for file in logs.records.iterdir()) == ["12-01", "12-02"]
