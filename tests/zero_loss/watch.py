"""What the gateway's processes hold: file descriptors, memory, tasks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.peers import DEADLINE, eventually

SPY = Path(__file__).parent / "spy"


@dataclass(frozen=True)
class Held:
    """By one process."""

    descriptors: int
    tasks: Counter[str]
    resident: int  # bytes, after free memory was given back


def environment(folder: Path) -> dict[str, str]:
    """For the gateway's processes: with it they can be asked. `folder`: where they answer."""
    paths = [str(SPY), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {"PYTHONPATH": os.pathsep.join(paths), "ZERO_LOSS_SPY": str(folder)}


def family(pid: int) -> list[int]:
    """A process and its children: a gateway's parent and workers."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, listed)]


def descriptors(pid: int) -> int:
    """How many are open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def what_is_open(pid: int) -> str:
    """What they lead to, a line each; sockets with their addresses and states."""
    lines = [f"{one.name} -> {one.readlink()}" for one in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = subprocess.run(["ss", "-tanp"], capture_output=True, text=True, check=False).stdout.splitlines()
    return "\n".join([*lines, *(line for line in sockets if f"pid={pid}," in line)])


async def look(pid: int, folder: Path) -> Held:
    """Ask one process."""
    answer = folder / f"{pid}.json"
    answer.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR1)
    await eventually(answer.exists, f"process {pid} says what it holds")
    status = Path(f"/proc/{pid}/status").read_text()
    resident = int(status.partition("VmRSS:")[2].split()[0]) << 10
    return Held(descriptors(pid), Counter(json.loads(answer.read_text())), resident)


async def at_rest(pid: int, folder: Path) -> Held:
    """What it holds before anything is asked of it: as soon as it has started, and opens no more for its own use."""
    since, count = 0, -1
    while since < 5:
        now = descriptors(pid)
        since, count = (since + 1, count) if now == count else (0, now)
        await asyncio.sleep(0.1)
    return await look(pid, folder)


async def quiet(pid: int, folder: Path, before: Held, growth: int) -> Held:
    """Until it holds no descriptor and no task more than before; its memory has not grown by `growth` bytes."""
    try:
        await eventually(lambda: descriptors(pid) <= before.descriptors, "it held no more than before")
    except AssertionError:
        print(f"process {pid} had {before.descriptors} descriptors, and now:\n{what_is_open(pid)}")
        raise
    now = await look(pid, folder)
    give_up = asyncio.get_running_loop().time() + DEADLINE
    while now.tasks - before.tasks and asyncio.get_running_loop().time() < give_up:
        now = await look(pid, folder)
    assert not now.tasks - before.tasks, f"tasks were left: {now.tasks - before.tasks}"
    grown = now.resident - before.resident
    assert grown < growth, f"process {pid} grew by {grown >> 20} MiB"
    return now
