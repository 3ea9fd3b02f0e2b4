"""The Markdown pages of the repository, and the commands in their console blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.stacks import ROOT

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
# What a test of a command cannot have.
NEEDS = {"docker", "swarm", "kubectl", "stripe", "internet", "certificate", "terminal"}
FENCE = re.compile(r"^```(\S*)(?: +(.*))?$")


@dataclass
class Command:
    """A command as a reader types it, and the output that the page shows."""

    line: int
    text: str
    output: list[str] = field(default_factory=list)

    def matches(self, found: str) -> bool:
        """Return whether the output is as shown. `…` stands for any text; a page may show no output."""
        if not self.output:
            return True
        shown = "\n".join(self.output).strip()
        pattern = ".*".join(re.escape(part) for part in shown.split("…"))
        return re.fullmatch(pattern, found.strip().replace("\r", ""), re.DOTALL) is not None


@dataclass
class Block:
    """A console block; `needs` is empty if a test can run it."""

    line: int
    needs: str
    commands: list[Command]


def read_blocks(page: Path) -> Iterator[Block]:
    """Return the console blocks of a page, in order."""
    block: Block | None = None
    is_inside = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if fence and not is_inside:
            is_inside = True
            if fence[1] == "console":
                block = Block(number, (fence[2] or "").removeprefix("needs="), [])
        elif fence:
            if block:
                yield block
            block, is_inside = None, False
        elif block and line.startswith("$ "):
            block.commands.append(Command(number, line[2:]))
        elif block and block.commands:
            command = block.commands[-1]
            is_continued = not command.output and (
                command.text.endswith("\\") or _has_open_quote(command.text)
            )
            if is_continued:
                command.text += f"\n{line}"
            else:
                command.output.append(line)


def _has_open_quote(text: str) -> bool:
    return re.sub(r'"[^"]*"', "", text).count("'") % 2 == 1
