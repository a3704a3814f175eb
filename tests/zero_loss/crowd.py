"""All clients of a run: 200 that ask by HTTP, 100 with a WebSocket, spread over the gateway's ports."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.peers import eventually

from .browsers import KINDS, Browser, World, live
from .sockets import Socket
from .tally import Tally
from .tide import Tide

SOCKETS = 100
LATE = 60.0  # seconds in which every client gets on, on a machine that does other things too
# These are in the middle of something for as long as a move does not begin.
_PATIENT = ("upload", "download")


def number(name: str, usual: int) -> int:
    """How often; `python -m tests.zero_loss --long` sets it higher."""
    return int(os.environ.get(f"ZERO_LOSS_{name}", usual))


@dataclass
class Crowd:
    """The clients at work."""

    world: World
    tally: Tally
    tide: Tide
    names: dict[str, list[str]]

    async def everybody_got_on(self) -> None:
        """Each client has been served since now, or stands in the middle of something."""
        before = self.tally.progress.copy()
        quick = [name for kind, names in self.names.items() if kind not in _PATIENT for name in names]
        try:
            await eventually(lambda: not self.tally.stood_still(before, quick), "every client is served", LATE)
        except AssertionError:
            left = self.tally.stood_still(before, quick)
            raise AssertionError(f"not served: {left[:10]} of {len(left)}; {self.tally.failures[:10]}") from None
        patient = sum(len(self.names[kind]) for kind in _PATIENT)
        await eventually(lambda: self.tide.halfway >= patient, "bodies are half on their way", LATE)


@asynccontextmanager
async def crowd(ports: Sequence[int], *, lossy: bool = False) -> AsyncIterator[Crowd]:
    """At work for a block, at the end of which all have left in good order."""
    tally, tide = Tally(), Tide()
    tasks, names = [], {}
    for kind, (many, one) in KINDS.items():
        names[kind] = [f"{kind}{index}" for index in range(many)]
        for index, name in enumerate(names[kind]):
            world = World(ports[index % len(ports)], tally, tide, lossy)
            tasks.append(asyncio.create_task(live(Browser(world, name, kind), one), name=name))
    people = [
        Socket(World(ports[index % len(ports)], tally, tide, lossy), index, ports[index % len(ports)])
        for index in range(SOCKETS)
    ]
    names["ws"] = [one.name for one in people]
    tasks += [asyncio.create_task(one.live(), name=one.name) for one in people]
    made = Crowd(World(ports[0], tally, tide, lossy), tally, tide, names)
    try:
        yield made
        tide.end()
        async with asyncio.timeout(LATE * 2):
            await asyncio.gather(*tasks)
    finally:
        tide.end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
