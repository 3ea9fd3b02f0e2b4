"""Keep programs running: start them in layers, restart those that end, and stop them in reverse order.

The library `supervisor` misses three requirements: it has no readiness and no order across one-shot steps, it
cannot pass a listening socket to each replica, and its children outlive it when it is killed. This supervisor
has one thread; its signal handlers only set a flag.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.errors import CannotStart
from local.logs import Logs
from local.processes import GroupRecords, has_ended, reap, spawn
from local.signals import StopSignals

FIRST_DELAY, LONGEST_DELAY = 0.2, 10.0  # Seconds until an ended program restarts.
LONG_LIFE = 30.0  # Seconds of life after which the next end counts as the first.
DEATHS_AT_START = 5  # Ends after which a start fails.
JOB_SECONDS = 300.0
ROTATION_SECONDS = 5.0


def do_nothing() -> None:
    """Default of callbacks."""


@dataclass(frozen=True)
class Program:
    """A command and how to supervise it.

    `ready` gets the process id and returns whether the program is ready. `sweep` runs before each start and
    after each end, and removes what the program leaves outside its process group.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[int], bool] = lambda _pid: True
    ready_seconds: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 12.0
    inherits: Sequence[int] = ()
    sweep: Callable[[], None] = do_nothing


class Child:
    """A program's process, or the delay until its restart."""

    def __init__(self, program: Program, *, once: bool = False) -> None:
        self.program = program
        self.name = program.name
        self.once = once
        self.process: subprocess.Popen[bytes] | None = None
        self.exit_code: int | None = None
        self.ready = False
        self.deaths = 0
        self.started_at = self.probed_at = 0.0
        self.start_at = 0.0
        self.late = False

    @property
    def is_due(self) -> bool:
        return self.process is None and self.exit_code is None and time.monotonic() >= self.start_at


class Supervisor:
    """A context in which programs run; leaving it in any way stops all of them."""

    def __init__(
        self,
        state: Path,
        say: Callable[[str], None],
        changed: Callable[[], None] = do_nothing,
        *,
        first_delay: float = FIRST_DELAY,
    ) -> None:
        self.logs = Logs(state / "log")
        self._groups = GroupRecords(state / "run")
        self._say = say
        self.changed = changed
        self._first_delay = first_delay
        self._signals = StopSignals()
        self._layers: list[list[Child]] = []
        self._rotated_at = time.monotonic()

    def __enter__(self) -> "Supervisor":
        self._signals.install()
        ended = self._groups.end_leftovers()
        if ended:
            self._say(f"Ended {ended} orphaned processes of an earlier run.")
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self._stop()
        finally:
            self._signals.restore()

    def start(self, *programs: Program) -> None:
        """Start programs as a new layer, and return when all of them are ready."""
        layer = [Child(program) for program in programs]
        self._layers.append(layer)
        while not all(child.ready for child in layer):
            self._tick()
            for child in layer:
                if child.deaths >= DEATHS_AT_START:
                    raise CannotStart(self._describe(child, "keeps ending right after its start"))
                if child.late:
                    raise CannotStart(
                        self._describe(child, f"was not ready within {child.program.ready_seconds:.0f} s")
                    )
            self._signals.wait(0.05)

    def run(self, *jobs: Program) -> list[str]:
        """Run one-shot jobs together, and return the output of each; raise CannotStart if one fails."""
        layer = [Child(job, once=True) for job in jobs]
        offsets = [self.logs.size(job.name) for job in jobs]
        self._layers.append(layer)
        deadline = time.monotonic() + JOB_SECONDS
        while any(child.exit_code is None for child in layer):
            self._tick()
            if time.monotonic() > deadline:
                late = " and ".join(child.name for child in layer if child.exit_code is None)
                raise CannotStart(f"{late} took longer than {JOB_SECONDS:.0f} s.")
            self._signals.wait(0.05)
        self._layers.remove(layer)
        outputs = [self.logs.read_from(job.name, offset) for job, offset in zip(jobs, offsets, strict=True)]
        for child, output in zip(layer, outputs, strict=True):
            if child.exit_code:
                trouble = describe_exit(child.exit_code)
                raise CannotStart(f"{child.name} failed ({trouble}):\n{output.rstrip()}")
            # A successful job needs no log, and a password that it printed must not stay in a file.
            self.logs.file(child.name).unlink()
        return outputs

    def watch(self) -> None:
        """Keep everything running until a stop signal arrives."""
        while True:
            self._tick()
            self._signals.wait(1.0 if all(child.ready for child in self._children()) else 0.1)

    def pid(self, name: str) -> int | None:
        """Return the process id of a program, or None while it is not running."""
        return next(
            (each.process.pid for each in self._children() if each.name == name and each.process), None
        )

    def _tick(self) -> None:
        for child in self._children():
            if child.process and has_ended(child.process.pid):
                self._note_end(child, self._collect(child, child.process))
            if child.is_due:
                self._launch(child)
        # One probe at a time: each may take its whole time-out, and a signal must not wait for several.
        unready = self._unready()
        if unready:
            self._probe(min(unready, key=lambda child: child.probed_at))
        if time.monotonic() - self._rotated_at > ROTATION_SECONDS:
            self._rotated_at = time.monotonic()
            self.logs.rotate()

    def _children(self) -> list[Child]:
        return [child for layer in self._layers for child in layer]

    def _unready(self) -> list[Child]:
        return [child for child in self._children() if child.process and not child.ready and not child.once]

    def _launch(self, child: Child) -> None:
        program = child.program
        program.sweep()
        log = self.logs.open(program.name)
        try:
            child.process = spawn(
                program.command,
                environment=program.environment,
                home=self._groups.home(program.name),
                log=log,
                stop_signal=program.stop_signal,
                inherits=program.inherits,
            )
        finally:
            os.close(log)
        child.started_at = time.monotonic()
        child.late = False
        self._groups.add(program.name, child.process.pid, program.stop_signal)
        self.changed()

    def _probe(self, child: Child) -> None:
        child.ready = child.process is not None and child.program.ready(child.process.pid)
        child.probed_at = time.monotonic()
        waited = child.probed_at - child.started_at
        if child.ready and child.deaths:
            self._say(f"{child.name} is ready again.")
        if not child.ready and not child.late and waited > child.program.ready_seconds:
            child.late = True
            self._say(f"{child.name} is still not ready. Its log is {self.logs.file(child.name)}")

    def _note_end(self, child: Child, code: int) -> None:
        if child.once:
            child.exit_code = code
            return
        child.deaths = 0 if time.monotonic() - child.started_at > LONG_LIFE else child.deaths
        delay = min(self._first_delay * 2**child.deaths, LONGEST_DELAY)
        child.deaths += 1
        child.ready = False
        child.start_at = time.monotonic() + delay
        self._say(
            f"{child.name} ended ({describe_exit(code)}) and restarts in {delay:.1f} s. "
            f"Its log is {self.logs.file(child.name)}"
        )

    def _collect(self, child: Child, process: subprocess.Popen[bytes]) -> int:
        """Reap a process, and remove its group, its leftovers and its record."""
        code = reap(process)
        child.process = None
        child.program.sweep()
        self._groups.remove(child.name)
        self.changed()
        return code

    def _stop(self) -> None:
        self._signals.stopping = True
        while self._layers:
            layer = self._layers[-1]
            deadlines = {child: time.monotonic() + child.program.stop_seconds for child in layer}
            for child in layer:
                if child.process:
                    os.kill(child.process.pid, child.program.stop_signal)
            while any(child.process for child in layer):
                for child in layer:
                    if child.process:
                        self._collect_if_over(child, child.process, deadlines[child])
                self._signals.wait(0.05)
            self._layers.pop()

    def _collect_if_over(self, child: Child, process: subprocess.Popen[bytes], deadline: float) -> None:
        overdue = time.monotonic() > deadline
        if overdue:
            self._say(f"{child.name} did not stop within {child.program.stop_seconds:.0f} s and is killed.")
        if overdue or self._signals.hurried or has_ended(process.pid):
            self._collect(child, process)

    def _describe(self, child: Child, trouble: str) -> str:
        lines = self.logs.last_lines(child.name)
        return f"{child.name} {trouble}. The end of {self.logs.file(child.name)}:\n{lines}"


def describe_exit(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
