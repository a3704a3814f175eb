"""What the kernel says of this machine and of processes: cores, CPU time, memory."""

from __future__ import annotations

import os
import platform
import resource
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the proxy has, and which the load and the backends share."""

    proxy: tuple[int, ...]
    load: tuple[int, ...]


@cache
def free_cores() -> list[int]:
    """The cores that this process might use when it was first asked, one of each pair of hyper-threads."""
    allowed = sorted(os.sched_getaffinity(0))
    firsts = [one for one in allowed if _first_sibling(one) == one]
    return firsts if len(firsts) > 1 else allowed


def _first_sibling(core: int) -> int:
    try:
        text = Path(_TOPOLOGY.format(core)).read_text()
    except OSError:
        return core
    return int(text.replace("-", ",").split(",")[0])


def split(workers: int) -> Cores:
    """One core for each worker and as many for the load; on a small machine two workers share all with the load.

    Raises SystemExit on a machine with one core.
    """
    cores = free_cores()
    if len(cores) < 2:
        raise SystemExit("The benchmarks need two cores: one for the proxy, one for the load.")
    if len(cores) < 2 * workers:
        return Cores(tuple(cores), tuple(cores))
    return Cores(tuple(cores[:workers]), tuple(cores[workers : 2 * workers]))


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in _text(task).split()]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time so far of the process and its descendants, in steps of a clock tick (10 ms)."""
    return sum(own_seconds(one) for one in tree(pid))


def own_seconds(pid: int) -> float:
    """The same of the process alone."""
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK if fields else 0.0  # proc(5): fields 14 and 15


def resident_kib(pid: int) -> int:
    """Resident memory of the process and its descendants."""
    return sum(_resident(one) for one in tree(pid))


def _resident(pid: int) -> int:
    for line in _text(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def description() -> str:
    """One line: processor, cores, kernel."""
    models = [one.partition(":")[2].strip() for one in _text(Path("/proc/cpuinfo")).splitlines() if "model name" in one]
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores, {model}; Linux {platform.release()}"


def busy(seconds: float = 1.0) -> float:
    """The share of the machine's time, 0 to 1, that somebody used or the hypervisor took, while we slept."""
    before = _times()
    time.sleep(seconds)
    spent = [now - then for now, then in zip(_times(), before, strict=True)]
    idle = spent[3] + spent[4]  # proc(5): user nice system idle iowait irq softirq steal
    return 1 - idle / max(sum(spent), 1)


def _times() -> list[int]:
    return [int(one) for one in _text(Path("/proc/stat")).splitlines()[0].split()[1:9]]


def _text(path: Path) -> str:
    """Nothing for a process that has ended meanwhile."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def raise_files() -> None:
    """Allow as many open files as the machine does, for this process and what it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
