"""The host dies without a word in the middle of everything: what nobody can know is said honestly, the rest goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.types import GateState, JobStatus

from .crowd import SOCKETS, crowd, number
from .scripted import stage
from .test_scripted import GROWTH

LOSSES = number("LOSSES", 3)
# What HTTP allows to be asked again when the answer was lost (RFC 9110 §9.2.2). A POST never is.
REPEATABLE = ("get", "other-get", "download", "put")


async def test_a_host_dies_and_everything_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Host after host: a socket goes on without a gap or is told to come back, a request is answered honestly."""
    async with stage(tmp_path, monkeypatch) as at:
        before = await at.held()
        await at.go()
        async with crowd(at.ports, lossy=True) as people:
            for loss in range(LOSSES):
                await people.everybody_got_on()
                await at.die()
                await at.heard_of_it(loss + 1)
                await at.hold()
                people.tide.hold()
                await at.drained()
                await at.go()
                people.tide.reopen()
            await people.everybody_got_on()
        print(f"{LOSSES} losses: {people.tally}")
        people.tally.check(at.memory.report(), repeatable=REPEATABLE)
        uploads = len(people.names["upload"]) * LOSSES
        assert uploads <= people.tally.honest["LOST"] <= uploads + (len(people.names["post"]) + SOCKETS) * LOSSES
        assert people.tally.honest["Cut"] >= LOSSES, "downloads were cut, and their browsers saw it"
        await at.publish(GateState.HELD, JobStatus.FLOATING)
        await at.drained()
        await at.quiet(before, GROWTH)
