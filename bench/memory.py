"""How much memory a program takes, with all that it started."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil


class Memory(NamedTuple):
    """A program's processes, and their proportional set size (proc(5), smaps_rollup) in MiB."""

    processes: int
    pss_mib: float
    each: tuple[float, ...]


def measure_memory(pid: int, *, with_children: bool = True) -> Memory:
    """Return what a process and its descendants take; pages that several share count once in all."""
    leader = psutil.Process(pid)
    family = [leader, *(leader.children(recursive=True) if with_children else [])]
    sizes = [size for each in family if (size := _read_pss(each.pid)) is not None]
    return Memory(len(sizes), round(sum(sizes) / 1024, 1), tuple(round(size / 1024, 1) for size in sizes))


def add_up(parts: Sequence[Memory]) -> Memory:
    """Return what several programs take together."""
    each = tuple(size for part in parts for size in part.each)
    return Memory(sum(part.processes for part in parts), round(sum(part.pss_mib for part in parts), 1), each)


def _read_pss(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None  # It ended while we were looking.
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), None)
