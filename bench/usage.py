"""The processor time and the memory of a program with its descendants."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil


class Memory(NamedTuple):
    """The processes of a program, and their proportional set size (proc(5), smaps_rollup) in MiB."""

    processes: int
    pss_mib: float
    each: tuple[float, ...]


def measure_memory(pid: int, *, with_children: bool = True) -> Memory:
    """Return the memory of a process and its descendants; a shared page counts once."""
    sizes = [size for each in _family(pid, with_children) if (size := _read_pss(each.pid)) is not None]
    return Memory(len(sizes), round(sum(sizes) / 1024, 1), tuple(round(size / 1024, 1) for size in sizes))


def add_up(parts: Sequence[Memory]) -> Memory:
    """Return the memory of several programs together."""
    each = tuple(size for part in parts for size in part.each)
    return Memory(sum(part.processes for part in parts), round(sum(part.pss_mib for part in parts), 1), each)


def measure_cpu(pid: int, *, with_children: bool = True) -> float:
    """Return the processor seconds that a process and its descendants have used so far.

    Of descendants that have ended, those count that their parent has waited for (proc(5), cutime).
    """
    return sum(_read_seconds(each, ended_children=with_children) for each in _family(pid, with_children))


def subtract(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """Return the use of each part between two readings."""
    return {part: seconds - before[part] for part, seconds in after.items()}


def _family(pid: int, with_children: bool) -> Iterator[psutil.Process]:
    leader = psutil.Process(pid)
    yield leader
    if with_children:
        yield from leader.children(recursive=True)


def _read_pss(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None  # The process has ended.
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), None)


def _read_seconds(process: psutil.Process, *, ended_children: bool) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0  # The process has ended.
    own = times.user + times.system
    return float(own + times.children_user + times.children_system if ended_children else own)
