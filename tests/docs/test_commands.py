"""Every command of the README and of docs/ runs as a reader types it, or says what it needs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import NEEDS, PAGES, Command, read_blocks
from tests.stacks import ROOT, ProcessStack

START = "\x01begin {}"
END = "\x01end {} "


def test_each_block_can_run_or_names_a_known_need():
    unknown = {(page.name, block.line): block.needs for page in PAGES for block in read_blocks(page)}
    assert {place: needs for place, needs in unknown.items() if needs and needs not in NEEDS} == {}


def test_each_block_has_a_command():
    empty = [(page.name, block.line) for page in PAGES for block in read_blocks(page) if not block.commands]
    assert empty == []


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder that looks like the clone in which a reader works, and keeps what the commands write."""
    for entry in ROOT.iterdir():
        if entry.name not in {".git", ".local"}:
            (tmp_path / entry.name).symlink_to(entry)
    # curl's progress meter would be part of the output.
    (tmp_path / ".curlrc").write_text("silent\nshow-error\n")
    return tmp_path


def run_in_bash(
    commands: list[Command], stack: ProcessStack, folder: Path
) -> Iterator[tuple[Command, int, str]]:
    """Run commands one after the other in one shell; return each with its exit code and output."""
    lines = []
    for number, command in enumerate(commands):
        text = command.text.replace("localhost:8080", f"127.0.0.1:{stack.port}")
        lines += [f"echo '{START.format(number)}'", text, f'echo "{END.format(number)}$?"']
    environment = {
        **{name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PORT": str(stack.port),
        "STATE": str(stack.state),
        "CURL_HOME": str(folder),
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=280,
    )
    for number, command in enumerate(commands):
        output = done.stdout.partition(f"{START.format(number)}\n")[2]
        output, _, rest = output.partition(END.format(number))
        yield command, int(rest.split("\n", 1)[0] or "-1"), output


def as_parameter(page: Path) -> Any:
    """Return a page as a parameter; one that imports products runs after the back office's import."""
    marks = [pytest.mark.xdist_group("browser")] if "/products/import" in page.read_text() else []
    return pytest.param(page, id=page.stem, marks=marks)


@pytest.mark.shop
@pytest.mark.parametrize("page", [as_parameter(page) for page in PAGES])
def test_the_commands_of_a_page_do_what_it_shows(processes: ProcessStack, desk: Path, page: Path) -> None:
    commands = [command for block in read_blocks(page) if not block.needs for command in block.commands]
    wrong = [
        f"{page.name}:{command.line}: {command.text}\nexit {code}\n{output}"
        for command, code, output in run_in_bash(commands, processes, desk)
        if code != 0 or not command.matches(output)
    ]
    assert not wrong, "\n\n".join(wrong)
