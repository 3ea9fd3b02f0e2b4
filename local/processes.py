"""Child processes: start each in its own session, and end it with all its descendants.

A process group is signalled only while it certainly belongs to this stack: its leader is an unreaped child,
or an earlier run recorded the group in this boot and the process works in the folder of that program.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from local.errors import CannotStart

LAUNCH = Path(__file__).with_name("launch.py")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
UNPRIVILEGED_ID = 65534  # The overflow user, which owns no files.


class Process(NamedTuple):
    """A living process as /proc shows it."""

    pid: int
    name: str
    group: int


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    home: Path,
    log: int,
    stop_signal: signal.Signals,
    inherits: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command as the leader of a session; it gets `stop_signal` when this process dies.

    The kernel sends the signal when the calling thread ends, so call this from a thread that stays.
    """
    launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(stop_signal))]
    return subprocess.Popen(
        [*launch, *command],
        env=dict(environment),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=tuple(inherits),
        start_new_session=True,
    )


def unprivileged(
    command: Sequence[str], stop_signal: signal.Signals, capabilities: Sequence[str] = ()
) -> list[str]:
    """Wrap a command so that root runs it as an unprivileged user; other users run it unchanged.

    dac_override lets it reach its files below folders that only root may enter, so that no folder's mode has
    to change. Changing the user clears the parent-death signal, so setpriv sets it again.
    """
    if os.geteuid() != 0:
        return list(command)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CannotStart("As root, the stack needs the program setpriv. Install the package util-linux.")
    held = ",".join(f"+{name}" for name in ("dac_override", *capabilities))
    return [
        setpriv,
        f"--reuid={UNPRIVILEGED_ID}",
        f"--regid={UNPRIVILEGED_ID}",
        "--clear-groups",
        f"--inh-caps={held}",
        f"--ambient-caps={held}",
        "--securebits=+no_setuid_fixup",
        f"--pdeathsig={stop_signal.name.removeprefix('SIG')}",
        "--",
        *command,
    ]


def has_ended(pid: int) -> bool:
    """Return whether a child has ended, without reaping it, so that its group id is not reused."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def reap(process: subprocess.Popen[bytes]) -> int:
    """Kill the rest of a child's process group, then return the child's exit code."""
    # A group in which only the ended leader is left may have no process to signal.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    wait_until(lambda: not any(each.group == process.pid for each in living_processes()), 5)
    return process.wait()


def living_processes() -> Iterator[Process]:
    """Return the processes in /proc, without zombies."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, _, rest = (entry / "stat").read_text(errors="replace").rpartition(")")
        except OSError:
            continue  # It ended meanwhile.
        state, _, group = rest.split()[:3]
        if state not in "ZX":
            yield Process(int(entry.name), name.partition("(")[2], int(group))


def works_in(pid: int, folder: Path) -> bool:
    """Return whether a process works in this folder, also after the folder was renamed."""
    try:
        return Path(f"/proc/{pid}/cwd").samefile(folder)
    except OSError:
        return False


def end_all(find: Callable[[], list[int]], stop_signal: signal.Signals, seconds: float) -> int:
    """Signal the processes that `find` returns, kill them after the time, and return their number."""
    found = find()
    for number, limit in ((stop_signal, seconds), (signal.SIGKILL, 5.0)):
        for pid in find():
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if wait_until(lambda: not find(), limit):
            break
    return len(found)


def _find_left(group: int, home: Path) -> list[int]:
    return [each.pid for each in living_processes() if each.group == group and works_in(each.pid, home)]


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait at most so many seconds for a condition, and return whether it became true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class GroupRecords:
    """The process groups of this run on disk, so that the next run can end orphans after `kill -9`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "groups.json"
        self._groups: dict[str, tuple[int, int]] = {}

    def home(self, name: str) -> Path:
        """Return the working directory of a program, which no other program uses."""
        home = self._folder / name
        home.mkdir(parents=True, exist_ok=True)
        return home

    def add(self, name: str, group: int, stop_signal: signal.Signals) -> None:
        self._groups[name] = (group, int(stop_signal))
        self._save()

    def remove(self, name: str) -> None:
        self._groups.pop(name, None)
        self._save()

    def end_leftovers(self) -> int:
        """End the processes that an earlier run left, and return their number."""
        try:
            saved = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return 0
        if saved["boot"] != BOOT_ID.read_text():
            return 0

        return sum(
            end_all(partial(_find_left, group, self.home(name)), signal.Signals(number), 5)
            for name, (group, number) in saved["groups"].items()
        )

    def _save(self) -> None:
        write_private(self._file, json.dumps({"boot": BOOT_ID.read_text(), "groups": self._groups}))


def write_private(file: Path, text: str) -> None:
    """Replace a file atomically; only its owner can read it."""
    fresh = file.with_name(f"{file.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    fresh.replace(file)
