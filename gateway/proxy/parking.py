"""How a WebSocket lets go of its job, so that nothing that was sent stays unread.

    settle     the message under way comes to its end
    barrier    a ping: its pong proves that the job read all that went before it
    farewell   in its turn: Close, until the job says Close too, or its connection ends

Only the farewells of one path stand in line. A server of Jupyter keeps what it has to say for the socket that it saw
close last, so we have to know which one that was; everything before that may take its time without holding up others.
"""

from __future__ import annotations

import asyncio

from gateway.config import Timeouts

from .frames import Opcode, close_frame, frame
from .leg import Leg

BARRIER = b"floatgate barrier"
GOING_AWAY = 1001  # to the job only: our end of this connection goes away


class Turn:
    """Whose farewell it is, among the WebSockets of one path."""

    __slots__ = ("__weakref__", "deaf", "lock")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()  # first come, first served
        self.deaf = False
        """One farewell was not answered: nobody after it waits for an answer, and nobody knows their order."""


class Parking:
    """One WebSocket's way out. The futures are set by who reads the job's frames."""

    __slots__ = ("_job", "_timeouts", "_turn", "barrier", "farewell", "settled")

    def __init__(self, job: Leg, turn: Turn, timeouts: Timeouts) -> None:
        loop = asyncio.get_running_loop()
        self._job, self._turn, self._timeouts = job, turn, timeouts
        self.settled: asyncio.Future[None] = loop.create_future()
        """No message is under way to the job."""
        self.barrier: asyncio.Future[None] = loop.create_future()
        """The job answered the barrier."""
        self.farewell: asyncio.Future[None] = loop.create_future()
        """The job said Close."""

    async def run(self) -> str:
        """Why the browser has to come back, or nothing. The job's connection has ended then.

        It takes no longer than `drain` + `barrier` + `close`, unless the server answers others of the path meanwhile.
        """
        broken = await self._steps()
        self._job.transport.abort()
        return broken

    async def _steps(self) -> str:
        if not await self._job.within(self._timeouts.drain, self.settled):
            return "a message was under way"  # whatever we said now might be taken for the rest of a frame
        self._job.send(frame(Opcode.PING, BARRIER, masked=True))
        if not await self._job.within(self._timeouts.barrier, self.barrier):
            await self._part()  # out of turn: it is not dialled again, so its place among the others does not matter
            return "the job did not confirm what was sent"
        async with self._turn.lock:
            if not await self._part():
                self._turn.deaf = True
                return "the job did not say that it was closed"
        return ""

    async def _part(self) -> bool:
        """Whether the job has said all that it had to say."""
        self._job.send(close_frame(GOING_AWAY, "", masked=True))
        if self._turn.deaf:
            return self._job.gone
        return await self._job.within(self._timeouts.close, self.farewell) or self._job.gone
