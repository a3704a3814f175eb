"""The same with nothing scripted: a process with everything in its memory moves from capsule to capsule by CRIU."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.engines.local import machine

from . import watch
from .crowd import crowd, number
from .real import product
from .test_scripted import GROWTH, REPEATABLE

FOUND = machine.examine()
_LACKS = ", ".join(one.what for one in FOUND.missing)
pytestmark = [
    pytest.mark.root,
    pytest.mark.criu,
    pytest.mark.skipif(FOUND.tools is None, reason=f"no capsules here, missing: {_LACKS}"),
]
REAL_MOVES = number("REAL_MOVES", 5)


async def test_a_process_moves_and_nothing_is_lost(tmp_path: Path) -> None:
    async with product(tmp_path) as running:
        pids = watch.family(running.pid)
        await running.ask("/report")
        before = [await watch.at_rest(pid, tmp_path) for pid in pids]
        async with crowd([running.port]) as people:
            for _ in range(REAL_MOVES):
                await people.everybody_got_on()
                await running.migrate()
                people.tide.hold()
                await running.moved()
                people.tide.reopen()
            await people.everybody_got_on()
        log = (tmp_path / "state/gateways" / running.gateway / "gateway.log").read_text()
        print("\n".join(line for line in log.splitlines() if '"event": "request"' not in line))
        report = await running.ask("/report")
        print(f"{REAL_MOVES} real moves: {people.tally}")
        people.tally.check(report, repeatable=REPEATABLE)
        assert len(set(running.hosts)) == REAL_MOVES + 1, running.hosts
        await running.suspend()
        for pid, then in zip(pids, before, strict=True):
            await watch.quiet(pid, tmp_path, then, GROWTH)
    for word in ("Traceback", "never awaited", "was destroyed", "a fault of the gateway"):
        assert word not in log, log[log.find(word) - 500 : log.find(word) + 1500]
