"""The job moves twenty times under 300 clients, in the middle of bodies and frames, and nobody notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.types import GateState, JobStatus

from .crowd import crowd, number
from .scripted import Stage, stage

MOVES = number("MOVES", 20)
GROWTH = 16 << 20  # bytes that a worker keeps after its busiest time: malloc's arenas, modules imported since
REPEATABLE = ("get", "other-get", "download")  # what only reads is cut soon, and asked again after the move


async def move(stage: Stage) -> list[dict[str, object]]:
    """Drain, freeze, another host, open."""
    await stage.drained()
    return await stage.go()


async def test_a_job_moves_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(tmp_path, monkeypatch) as at:
        before = await at.held()
        await at.go()
        lost = kept = 0
        async with crowd(at.ports) as people:
            for _ in range(MOVES):
                await people.everybody_got_on()
                assert at.memory.receiving and at.memory.sending, "bodies are under way in both directions"
                await at.hold()
                people.tide.hold()
                reports = await move(at)
                kept += sum(one["websockets"] for one in reports)  # type: ignore[misc]
                lost += sum(one["lost_websockets"] for one in reports)  # type: ignore[misc]
                people.tide.reopen()
            await people.everybody_got_on()
        print(f"{MOVES} moves: {people.tally}")
        people.tally.check(at.memory.report(), repeatable=REPEATABLE)
        assert (kept, lost) == (MOVES * len(people.names["ws"]), 0)
        await at.publish(GateState.HELD, JobStatus.FLOATING)
        await at.drained()
        after = await at.quiet(before, GROWTH)
        pairs = zip(before, after, strict=True)
        print("MiB of the gateway's processes:", [(one.resident >> 20, two.resident >> 20) for one, two in pairs])
