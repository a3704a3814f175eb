"""Where the proxy's time goes: py-spy on a worker while a measure loads it."""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from pathlib import Path

from .machine import own_seconds, tree
from .measures import Measure
from .peer import Peer
from .processes import BenchFailed
from .stage import Stage
from .tools import HOME

SPY = HOME / "tools" / "bin" / "py-spy"
RATE = 400  # samples a second
TOP = 40  # lines of each table


def profile(stage: Stage, peer: Peer, measure: Measure, seconds: float, keep: Path) -> str:
    """Sample the busiest process of the proxy during `measure`; two tables, and the stacks in `keep`.

    Raises BenchFailed when there is no py-spy or it may not look (it needs root or ptrace).
    """
    if not SPY.exists():
        raise BenchFailed(f"there is no py-spy in {HOME}: sh tests/bench/setup.sh")
    pid = _busiest(stage, peer, measure)
    load = threading.Thread(target=measure.take, args=(stage, peer, seconds + 3))
    load.start()
    given = ["--duration", str(round(seconds)), "--rate", str(RATE), "--format", "raw", "--full-filenames"]
    done = subprocess.run(
        [SPY, "record", "--pid", str(pid), "--native", *given, "--output", keep],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    load.join()
    if done.returncode:
        raise BenchFailed(f"py-spy: {done.stderr[-400:].strip()}")
    return _tables(keep.read_text())


def _busiest(stage: Stage, peer: Peer, measure: Measure) -> int:
    """The process of the tree that works most under this load: the worker, not its parent."""
    proxy = stage.proxies[peer.name]
    if proxy.pid is None:
        raise BenchFailed("there is no proxy to profile in `direct`")
    all_of_it = tree(proxy.pid)
    before = {pid: own_seconds(pid) for pid in all_of_it}
    measure.take(stage, peer, 1)
    return max(all_of_it, key=lambda pid: own_seconds(pid) - before[pid])


def _tables(stacks: str) -> str:
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_short(frame) for frame in stack.split(";")]
        own[frames[-1]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
    total = max(own.total(), 1)
    hint = "epoll_pwait is waiting, mostly: the rest is where the time goes."
    return "\n\n".join([hint, _table("In the function itself", own, total), _table("In it and below", within, total)])


def _short(frame: str) -> str:
    """`name (file:line)` without the line and without folders above the last two."""
    name, _, where = frame.partition(" (")
    place = where.rstrip(")").rpartition(":")[0] or where.rstrip(")")
    return f"{name} ({'/'.join(place.split('/')[-2:])})" if place else name


def _table(title: str, counts: Counter[str], total: int) -> str:
    lines = [f"{count / total:6.1%}  {name}" for name, count in counts.most_common(TOP)]
    return "\n".join([f"{title} ({total} samples)", *lines])
