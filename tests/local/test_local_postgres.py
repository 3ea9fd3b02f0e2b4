"""PostgreSQL from the wheel: its setup, and its recovery after kills."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from local import postgres
from local.errors import CannotStart
from local.processes import living_processes, unprivileged, works_in
from tests.waiting import wait_for


def processes_of(folder: Path) -> list[int]:
    return [each.pid for each in living_processes() if works_in(each.pid, folder / "data")]


def test_a_new_server_speaks_scram_sorts_as_in_docker_and_never_runs_as_root(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    # The leftovers of a start that was killed in initdb.
    (folder / "data.new" / "base").mkdir(parents=True)
    # Root starts the server as an unprivileged user, below a folder that only root may enter.
    tmp_path.chmod(0o700)
    with postgres.running(folder) as server, psycopg.connect(server.url()) as connection:
        row = connection.execute(
            "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding) FROM pg_database"
            " WHERE datname = 'template1'"
        ).fetchone()
        assert row == ("b", "C.UTF-8", "UTF8")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.url(password="wrong"))
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0

    assert processes_of(folder) == []
    assert not (folder / "data.new").exists()
    assert tmp_path.stat().st_mode & 0o777 == 0o700


# The test waits for the disk, which may be busy.
@pytest.mark.timeout(400)
def test_data_survives_kill_9_of_everything_and_a_pid_file_of_another_process(tmp_path: Path) -> None:
    with postgres.running(tmp_path, durable=True) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        for pid in processes_of(tmp_path):
            # A backend may end by itself after its server.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: processes_of(tmp_path) == [])
        # No other program gets the server's port while it restarts.
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))
        pid_file = tmp_path / "data" / "postmaster.pid"
        left = pid_file.read_text()
    # The other process has the server's user id: PostgreSQL ignores processes of other users.
    with subprocess.Popen(unprivileged(["sleep", "600"], signal.SIGTERM)) as stranger:
        pid_file.write_text(left.replace(str(server.pid), str(stranger.pid), 1))
        try:
            with (
                postgres.running(tmp_path, durable=True) as server,
                psycopg.connect(server.url()) as connection,
            ):
                assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_busy_backend_that_outlived_its_server_is_ended(tmp_path: Path) -> None:
    with postgres.running(tmp_path) as server:
        connection = psycopg.connect(server.url(), autocommit=True)
        backend = connection.info.backend_pid

        def be_busy() -> None:
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT count(*) FROM generate_series(1, 10000000000)")

        thread = threading.Thread(target=be_busy)
        thread.start()
        with psycopg.connect(server.url(), autocommit=True) as watcher:
            query = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
            wait_for(lambda: watcher.execute(query, [backend]).fetchone())
        os.kill(server.pid, signal.SIGKILL)

    thread.join(10)
    connection.close()
    assert processes_of(tmp_path) == []
    with postgres.running(tmp_path) as server:
        psycopg.connect(server.url()).close()


def test_the_data_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("16\n")

    with pytest.raises(CannotStart, match="belongs to PostgreSQL 16"), postgres.running(tmp_path):
        pass


def test_the_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from local import postgres\n"
        "with postgres.running(pathlib.Path(sys.argv[1])): print('up', flush=True); sys.stdin.read()"
    )
    root = Path(postgres.__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == b"up\n"
        owner.kill()

    wait_for(lambda: processes_of(tmp_path) == [])
