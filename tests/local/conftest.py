"""Dummy stacks: a real supervisor process over shell scripts."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.processes import living_processes, works_in
from tests.waiting import wait_for

DRIVER = Path(__file__).with_name("dummy_stack.py")
ROOT = DRIVER.parents[2]


class DummyStack:
    """A running supervisor and its output."""

    def __init__(self, state: Path, plan: dict[str, Any]) -> None:
        self.state = state
        (state / "run").mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, str(DRIVER), str(state), json.dumps(plan)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as stream:
            for line in stream:
                self.lines.append(line.rstrip("\n"))

    def says(self, text: str) -> str:
        """Wait for a line with this text in it, and return it."""
        return wait_for(lambda: next((line for line in list(self.lines) if text in line), ""))

    def pid(self, name: str) -> int:
        """Wait until a program runs, and return its process id."""
        return wait_for(lambda: self._groups().get(name, 0))

    def _groups(self) -> dict[str, int]:
        file = self.state / "run" / "groups.json"
        groups = json.loads(file.read_text())["groups"] if file.exists() else {}
        return {name: group for name, (group, _) in groups.items()}

    def processes(self) -> list[int]:
        """Return every living process that works in a folder of this stack."""
        homes = list((self.state / "run").iterdir())
        return [each.pid for each in living_processes() if any(works_in(each.pid, home) for home in homes)]

    def send(self, number: signal.Signals) -> None:
        """Signal the supervisor."""
        os.kill(self.process.pid, number)

    def exit_code(self) -> int:
        """Wait for the end."""
        code = self.process.wait(20)
        self._reader.join(5)
        return code

    def close(self) -> None:
        """Kill every process that the test left."""
        if self.process.poll() is None:
            self.process.kill()
        self.exit_code()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


MakeStack = Callable[..., DummyStack]


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[MakeStack]:
    """Start dummy stacks, all on the same state: `make_stack([{"name": "a", "shell": "sleep 60"}], …)`."""
    stacks: list[DummyStack] = []

    def make(*layers: list[dict[str, Any]], **more: Any) -> DummyStack:
        stacks.append(DummyStack(tmp_path, {"layers": layers, **more}))
        return stacks[-1]

    yield make
    for stack in stacks:
        stack.close()
