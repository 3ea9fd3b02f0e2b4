"""`make run` and `make demo` in a fresh clone, as an ordinary user."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.stacks import ROOT, STOP_SECONDS, Shopper, find_processes, reserve_port
from tests.waiting import wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

NEWCOMER = 12345  # A user id that the machine does not know.


@pytest.fixture
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh copy, in a folder with a space in its name that only its owner may enter."""
    # Outside pytest's folders, which an ordinary user may not enter if root runs the tests.
    folder = Path("/tmp") / f"shopfleet newcomer {os.getpid()}"  # noqa: S108
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).exists():
            (folder / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / "shop" / name)
    folder.chmod(0o700)
    if os.geteuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, NEWCOMER, NEWCOMER)
    yield folder / "shop"
    shutil.rmtree(folder)


def as_newcomer(*command: str) -> list[str]:
    """Return the command for an ordinary user, also if root runs the tests."""
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", f"--reuid={NEWCOMER}", f"--regid={NEWCOMER}", "--clear-groups", "--", *command]


def test_make_run_works_for_an_ordinary_user_in_a_fresh_clone(clone):
    # Root's Python may be in a folder that other users cannot read.
    python = sys.executable if os.geteuid() != 0 else "/usr/bin/python3"
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    port = reserve_port()
    environment = {**kept, "PATH": "/usr/bin:/bin", "HOME": str(clone), "PYTHON": python, "PORT": str(port)}
    with (clone / "make.out").open("wb") as log:
        process = subprocess.Popen(
            as_newcomer("make", "run"),
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        output = clone / "make.out"
        wait_for(lambda: "Shopfleet answers" in output.read_text() or process.poll() is not None, seconds=400)
        assert process.poll() is None, output.read_text()
        with Shopper(f"http://127.0.0.1:{port}") as shopper:
            shopper.log_in()
            assert shopper.get("/products").status_code == 200
        demo = subprocess.run(
            as_newcomer("make", "demo"),
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert demo.returncode == 0, demo.stdout + demo.stderr
    finally:
        # Ctrl-C reaches make and its children.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=STOP_SECONDS)
    wait_for(lambda: not find_processes(clone))
