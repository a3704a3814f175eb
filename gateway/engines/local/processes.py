"""Processes by identity: PID, start time and boot. A PID alone may be another process's by tomorrow."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_KIB = 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, for ever. `start` is in clock ticks since boot (proc(5), field 22)."""

    pid: int
    start: int
    boot: str

    @staticmethod
    def of(pid: int) -> Identity | None:
        """Who has this PID now; None when nobody has."""
        stat = _stat(pid)
        return None if stat is None else Identity(pid, int(stat[19]), _boot())

    @staticmethod
    def from_json(doc: Mapping[str, Any]) -> Identity:
        """Build from `to_json`'s object."""
        return Identity(int(doc["pid"]), int(doc["start"]), str(doc["boot"]))

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` gives the same back."""
        return asdict(self)

    def alive(self) -> bool:
        """Whether this very process runs, or is stopped. A zombie has ended."""
        stat = _stat(self.pid)
        return stat is not None and stat[0] not in "ZX" and int(stat[19]) == self.start and self.of_this_boot()

    def of_this_boot(self) -> bool:
        """Whether it was started since this machine was."""
        return _boot() == self.boot

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to this process and never to another. Nothing happens if it has ended."""
        try:
            handle = os.pidfd_open(self.pid)  # pins the PID, so that the check below stays true
        except ProcessLookupError:
            return
        try:
            if self.alive():
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)


async def gone(who: Identity, seconds: float) -> bool:
    """Wait until the process has ended, at most so long. Returns whether it has."""
    try:
        handle = os.pidfd_open(who.pid)
    except ProcessLookupError:
        return True
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        if who.alive():
            await asyncio.wait_for(ended.wait(), seconds)
    except TimeoutError:
        return not who.alive()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    return True


def descendants(roots: Iterable[int]) -> list[int]:
    """The PIDs of all children and theirs, parents first, without the roots. By parent: a Jupyter kernel has a
    session of its own, so neither session nor process group finds it."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None:
            children[int(stat[1])].append(int(entry.name))
    found: list[int] = []
    todo = list(roots)
    while todo:
        mine = children[todo.pop(0)]
        found += mine
        todo += mine
    return found


def freeze(roots: Iterable[int]) -> None:
    """SIGSTOP to every descendant, again until no new one appears: a child may be born meanwhile."""
    roots, stopped = list(roots), set[int]()
    while fresh := set(descendants(roots)) - stopped:
        signal_all(fresh, signal.SIGSTOP)
        stopped |= fresh


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each that still is there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def memory(pids: Iterable[int]) -> int:
    """Bytes that these processes hold in memory and swap; what they share is counted once."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # ended meanwhile, or a kernel without it: then the room is not checked
        total += sum(int(line.split()[1]) * _KIB for line in lines if line.startswith(("Pss:", "SwapPss:")))
    return total


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on: [0] state, [1] parent, [19] start time."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
