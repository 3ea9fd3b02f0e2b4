"""Child processes: started in sessions of their own, ended with everything they left behind.

A group is signalled only while it is certainly ours: its leader is our unreaped child, or, for what an
earlier run left, the group was recorded in this boot and the process works in the folder of that program.
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
UNPRIVILEGED_ID = 65534  # nobody


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
    """Start a command that leads a session of its own and gets `stop_signal` when this process dies.

    The kernel ties that to the calling thread, so call it from a thread that stays.
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
    """Wrap a command so that root runs it as nobody; anybody else runs it as it is.

    dac_override lets it reach its files below folders that only root may enter, so that no folder's mode has
    to change. Changing the user clears the parent-death signal, therefore it is asked for again.
    """
    if os.geteuid() != 0:
        return list(command)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CannotStart("Run as root, the stack needs the program setpriv: install the package util-linux.")
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
    """Tell whether a child has ended, and do not reap it: until then its group id stays its own."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def reap(process: subprocess.Popen[bytes]) -> int:
    """Kill what is left of a child's group, then collect the child's exit code."""
    # Where nobody but the ended leader is left, there may be nobody to signal.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    wait_until(lambda: not any(each.group == process.pid for each in living_processes()), 5)
    return process.wait()


def living_processes() -> Iterator[Process]:
    """Read /proc; zombies have ended and are left out."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, _, rest = (entry / "stat").read_text(errors="replace").rpartition(")")
        except OSError:
            continue  # It ended while we were looking.
        state, _, group = rest.split()[:3]
        if state not in "ZX":
            yield Process(int(entry.name), name.partition("(")[2], int(group))


def works_in(pid: int, folder: Path) -> bool:
    """Tell whether this folder is the working directory of a process, also after the folder was renamed."""
    try:
        return Path(f"/proc/{pid}/cwd").samefile(folder)
    except OSError:
        return False


def end_all(find: Callable[[], list[int]], stop_signal: signal.Signals, seconds: float) -> int:
    """Signal the processes that `find` names, kill them when the time is over, and return their number."""
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
    """Wait for a condition, for so long at most, and tell whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class GroupRecords:
    """The process groups of this run on disk, so that a run after `kill -9` can end what was left."""

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
        """End what an earlier run left and return how many processes that were."""
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
    """Replace a file in one step, readable by its owner only."""
    fresh = file.with_name(f"{file.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    fresh.replace(file)
