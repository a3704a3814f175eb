"""What an idle WebSocket costs: resident memory of a fresh proxy before and after many were opened."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .load import Sample, Take
from .machine import resident_kib
from .peer import Peer, Proxy
from .processes import BenchFailed, pinned
from .stage import Stage
from .tools import compiled, local

_FIRST = 50  # opened before the first look: what a proxy loads and allocates once is not the connections'
_SETTLED = 0.5  # seconds in which memory does not change
_SETTLE = 10.0  # seconds after which it is taken as it is


def memory(count: int) -> Take:
    """KiB for each, both legs, without what the kernel holds for their sockets."""

    def take(stage: Stage, peer: Peer, seconds: float) -> Sample:
        with stage.fresh(peer) as proxy:
            with _held_open(stage, proxy, _FIRST):
                before = _settled(proxy)
                with _held_open(stage, proxy, count):
                    return Sample({"kib": (_settled(proxy) - before) / count})

    return take


@contextmanager
def _held_open(stage: Stage, proxy: Proxy, count: int) -> Iterator[None]:
    command = pinned(stage.cores.load, [compiled("ws"), "idle", *local(proxy.echo + "/ws"), str(count), "1", "0"])
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        try:
            said = holder.stdout.readline()
            if json.loads(said or "{}").get("open") != count:
                raise BenchFailed(f"of {count} WebSockets these were opened: {said.strip()}")
            yield
        finally:
            holder.stdin.close()  # it ends by itself then


def _settled(proxy: Proxy) -> int:
    assert proxy.pid is not None
    deadline = time.monotonic() + _SETTLE
    seen = resident_kib(proxy.pid)
    while time.monotonic() < deadline:
        time.sleep(_SETTLED)
        now = resident_kib(proxy.pid)
        if now == seen:
            break
        seen = now
    return seen
