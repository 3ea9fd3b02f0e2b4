"""The settings of `make run`, and how it refuses wrong ones."""

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import local.__main__ as entrance
from local.errors import CannotStart
from local.settings import ROOT, SERVICES, Settings, read_scale
from local.stack import own_state


def test_scale_names_services_and_the_others_have_one_replica() -> None:
    assert read_scale("orders-service=3,catalog-service=2") == {
        **dict.fromkeys(SERVICES, 1),
        "orders-service": 3,
        "catalog-service": 2,
    }
    assert read_scale(" auth-service=2  logs-service=2, ")["logs-service"] == 2
    assert read_scale("") == dict.fromkeys(SERVICES, 1)


@pytest.mark.parametrize(
    "scale", ["orders=3", "orders-service", "orders-service=0", "orders-service=-1", "orders-service=x", "=2"]
)
def test_a_malformed_scale_is_refused_by_name(scale: str) -> None:
    with pytest.raises(CannotStart, match="SCALE"):
        read_scale(scale)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("BIND", "somewhere"),
        ("SHOPFLEET_ENV", "test"),
        ("DEMO_USERS", "maybe"),
    ],
)
def test_a_malformed_variable_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(CannotStart, match=name):
        Settings.from_environment({name: value})


@pytest.mark.parametrize("character", list('*?["$\\:\n'))
def test_a_folder_that_nginx_or_python_cannot_handle_is_refused(character: str) -> None:
    with pytest.raises(CannotStart, match="the character"):
        Settings.from_environment({"STATE": f"/srv/a{character}b"})


def test_a_folder_with_spaces_and_quotes_is_accepted() -> None:
    assert Settings.from_environment({"STATE": "/srv/it's a {shop}; ok"}).port == 8080


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        ({"BIND": "::1"}, True),
        ({"BIND": "192.0.2.1"}, False),
        ({"BIND": "192.0.2.1", "DEMO_USERS": "yes"}, True),
        ({"DEMO_USERS": "no"}, False),
        ({"SHOPFLEET_ENV": "production"}, False),
        ({"SHOPFLEET_ENV": "production", "DEMO_USERS": "yes"}, True),
    ],
)
def test_demo_users_are_for_development_on_loopback_or_on_request(
    environment: dict[str, str], expected: bool
) -> None:
    assert Settings.from_environment(environment).has_demo_users is expected


def test_the_state_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    with own_state(tmp_path / "state"):
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700

    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_folder_with_other_files_is_neither_used_nor_changed(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    tmp_path.chmod(0o755)

    with pytest.raises(CannotStart, match="has other files in it"), own_state(tmp_path):
        pass

    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_second_start_on_the_same_state_is_refused(tmp_path: Path) -> None:
    with own_state(tmp_path / "state"):
        with (
            pytest.raises(CannotStart, match=f"in use by process {os.getpid()}"),
            own_state(tmp_path / "state"),
        ):
            pass
        # The refused start has not released the lock.
        with (tmp_path / "state" / "lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_port_in_use_is_one_sentence_and_exit_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "local"],
            cwd=ROOT,
            env=os.environ | {"PORT": str(port), "STATE": str(tmp_path / "state")},
            capture_output=True,
            text=True,
            check=False,
        )

    assert ended.returncode == 1
    assert ended.stderr == ""
    (line,) = ended.stdout.splitlines()
    assert f"Port {port} on 127.0.0.1 is in use" in line


def test_an_old_python_is_one_sentence_and_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))

    assert entrance.main() == 1
    assert "needs Python 3.11 or newer" in capsys.readouterr().out


def test_another_system_is_one_sentence_and_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    assert entrance.main() == 1
    assert "needs Linux" in capsys.readouterr().out
