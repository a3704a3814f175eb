"""A move as a gate goes through it, in this order, and what is reported.

drain     requests inside the job end or are cut; each WebSocket lets go of the job; then: `drained`
reopen    the server accepts again; the WebSockets come back; the line goes on; then: `reopened`
finish    the job has ended for good
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from gateway.config import Timeouts
from gateway.types import Address, GateReport, Listener

from .upstream import Unreachable

if TYPE_CHECKING:
    from .gate import Gate, Inside, Relayed, Reporter

log = structlog.get_logger()

_COME_BACK = 1012  # RFC 6455's registry, `service restart`: clients come back


class Conductor:
    """One for each gate. Each verb may be cancelled at any time by the next."""

    def __init__(self, gate: Gate, timeouts: Timeouts, reporter: Reporter) -> None:
        self._gate, self._timeouts, self._reporter = gate, timeouts, reporter

    async def drain(self, listener: Listener) -> None:
        """Until nothing of ours is inside the job any more; then say so."""
        gate = self._gate
        await asyncio.gather(self._empty(), self._park_all())
        await self._park_all()  # those whose handshake was inside when the others were parked
        gate.pool.aim(None)
        count = len(gate.relays)
        log.info("drained", job=listener.job, generation=listener.generation, websockets=count)
        self._reporter.report(
            GateReport(listener.job, listener.port, listener.generation, drained=True, websockets=count)
        )

    async def _empty(self) -> None:
        """Requests that may be sent again and have no answer yet are cut first, all others at the deadline."""
        if await self._quiet_within(self._timeouts.drain_replayable):
            return
        self._cut([one for one in self._gate.hold.inside if one.replayable])
        if await self._quiet_within(self._timeouts.drain - self._timeouts.drain_replayable):
            return
        self._cut(list(self._gate.hold.inside))

    def _cut(self, exchanges: list[Inside]) -> None:
        """Who has been cut is not at the job any more, however long its browser takes to hear of it."""
        for one in exchanges:
            one.cut()
            self._gate.leave(one)

    async def _quiet_within(self, seconds: float) -> bool:
        quiet = self._gate.quiet
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await quiet.wait()
        return quiet.is_set()

    async def _park_all(self) -> None:
        """All at once; those of one path take turns where it matters (parking.py)."""
        await asyncio.gather(*(relay.park() for relay in list(self._gate.relays)))

    async def reopen(self, listener: Listener) -> None:
        """Wait for the server, bring the WebSockets back, then let the line go on."""
        gate, target = self._gate, listener.target
        if target is None:
            log.error("open without an address", job=listener.job)
            return
        if target != gate.pool.address:
            self._leave_behind(target)
        gate.pool.aim(target)
        await self._until_it_accepts()
        lost = await self._revive_all()
        kept, waited = len(gate.relays), gate.hold.waiting
        gate.hold.open()
        for relay in list(gate.relays):
            relay.recover()
        await self._release()
        gate.counts.update(moves=1, websockets_kept=kept, websockets_lost=lost)
        log.info("reopened", job=listener.job, generation=listener.generation, websockets=kept, lost=lost)
        self._reporter.report(
            GateReport(
                listener.job,
                listener.port,
                listener.generation,
                reopened=True,
                waited=waited,
                websockets=kept,
                lost_websockets=lost,
            )
        )

    def _leave_behind(self, target: Address) -> None:
        """After a drain nothing is; but a lost host, or one that nobody waits for any longer, is not drained."""
        self._cut(list(self._gate.hold.inside))
        for relay in list(self._gate.relays):
            if relay.address != target:
                relay.drop()

    async def _until_it_accepts(self) -> None:
        """However long it takes; only the WebSockets are not kept in the dark for more than `redial`."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._timeouts.redial
        while not await self._accepts():
            if loop.time() > give_up:
                self._end_all("the job's server does not accept connections")
            await asyncio.sleep(self._timeouts.redial_pause)

    async def _accepts(self) -> bool:
        try:
            connection = await self._gate.pool.get(fresh=True)
        except Unreachable:
            return False
        connection.abort("only a probe")
        return True

    async def _revive_all(self) -> int:
        """Per path one after the other, the last that was closed first: it owns the server's replay buffer."""
        relays = sorted(self._gate.relays, key=lambda one: (one.path, -one.parked_at))
        paths = itertools.groupby(relays, key=lambda one: one.path)
        return sum(await asyncio.gather(*[_revive_in_order(list(group)) for _, group in paths]))

    async def _release(self) -> None:
        gate = self._gate
        while gate.hold.waiting:
            await gate.release.place()
            who = gate.hold.call()
            if who is None:
                return
            gate.release.take(who)
            gate.let_go(who)

    async def finish(self) -> None:
        """The job has ended for good: its answers under way may go on, its WebSockets are told to come back."""
        self._end_all("the job has ended")
        self._gate.pool.close()

    def _end_all(self, reason: str) -> None:
        for relay in list(self._gate.relays):
            relay.end(_COME_BACK, reason)


async def _revive_in_order(relays: list[Relayed]) -> int:
    """How many of them could not go on."""
    return sum([not await relay.revive() for relay in relays])
