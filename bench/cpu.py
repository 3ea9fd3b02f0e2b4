"""How much processor time a program takes, with all that it started."""

from collections.abc import Mapping

import psutil


def measure_cpu(pid: int, *, with_children: bool = True) -> float:
    """Return the seconds of one core that a process and its descendants have used so far.

    Of descendants that have ended, those count whose end their parent has taken note of (proc(5), cutime).
    """
    leader = psutil.Process(pid)
    family = [leader, *(leader.children(recursive=True) if with_children else [])]
    return sum(_read_seconds(each, ended_children=with_children) for each in family)


def subtract(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """Return what each part has used in between."""
    return {part: seconds - before[part] for part, seconds in after.items()}


def _read_seconds(process: psutil.Process, *, ended_children: bool) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0  # It ended while we were looking.
    own = times.user + times.system
    return float(own + times.children_user + times.children_system if ended_children else own)
