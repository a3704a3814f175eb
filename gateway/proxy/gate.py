"""The gate before one server of one job: the asyncio shell of `hold.py`, and the conductor of a move.

Exchanges ask for `passage`; relays enrol. The control plane says `follow(listener)`; the gate drains, holds, waits
until the server accepts, brings the WebSockets back and lets the line go on, in this order, and reports.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from gateway.config import Limits, Timeouts
from gateway.errors import Outcome
from gateway.types import GateReport, GateState, Listener

from .hold import Go, Hold, No, State, Wait, Why
from .upstream import Connection, Pool, Unreachable

log = structlog.get_logger()


class Inside(Protocol):
    """An exchange inside the job, as the gate sees it."""

    @property
    def replayable(self) -> bool:
        """It may be sent again now."""

    def cut(self) -> None:
        """Give the job's side up now."""


class Waiting(Inside, Protocol):
    """An exchange that may stand in line."""

    async def while_waiting(self) -> None:
        """What to do meanwhile; cancelled when the wait is over."""


class Reporter(Protocol):
    """Where the gate's news go."""

    def report(self, report: GateReport) -> None:
        """A generation's drain or reopening is done."""

    def lost(self, listener: Listener) -> None:
        """The server does not answer although the gate is open."""


class Relayed(Protocol):
    """A WebSocket as the gate sees it."""

    path: bytes
    parked_at: int
    heard: int

    async def park(self) -> None:
        """Stop sending to the job, be sure that it read what was sent, and let go of it. Keep the browser."""

    async def revive(self) -> bool:
        """Dial the job again, or end as the policy says. True when the browser's socket goes on."""

    def end(self, code: int, reason: str) -> None:
        """Close the browser's side."""


@dataclass(frozen=True, slots=True)
class Pass:
    """On to the job."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Not to the job; the answer is this."""

    outcome: Outcome


_OUTCOME = {Why.FULL: Outcome.HOLD_FULL, Why.TIMEOUT: Outcome.HOLD_TIMEOUT, Why.SHUT: Outcome.ENDED}


class Gate:
    """One for each listener."""

    def __init__(self, listener: Listener, timeouts: Timeouts, limits: Limits, reporter: Reporter) -> None:
        self.listener = listener
        self.pool = Pool(timeouts, limits)
        self.relays: set[Relayed] = set()
        self._timeouts = timeouts
        self._reporter = reporter
        self._hold = Hold(max_waiting=limits.waiting_per_job, max_seconds=timeouts.hold)
        self._calls: dict[int, asyncio.Future[Pass | Refused]] = {}
        self._inside: dict[int, Inside] = {}
        self._numbers = itertools.count()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._move: asyncio.Task[None] | None = None
        self.counts: Counter[str] = Counter()
        """For metrics.py: held, refused, moves, websockets_kept, websockets_lost."""
        self._waited = 0
        self._held_bytes = 0
        self._max_held_bytes = limits.held_bytes_per_job

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return self._hold.waiting

    @property
    def is_open(self) -> bool:
        """Requests go on to the job."""
        return self._hold.state is State.OPEN

    # What held bodies may take

    def take(self, count: int) -> bool:
        """See body.Budget."""
        if self._held_bytes + count > self._max_held_bytes:
            return False
        self._held_bytes += count
        return True

    def give(self, count: int) -> None:
        """See body.Budget."""
        self._held_bytes -= count

    # The control plane's side

    def follow(self, listener: Listener) -> None:
        """The job's newest state. Idempotent; a newer generation replaces a move under way."""
        before, self.listener = self.listener, listener
        if self._move is not None and before.generation == listener.generation:
            return
        if self._move is not None:
            self._move.cancel()
        match listener.gate:
            case GateState.OPEN:
                self._hold.hold()  # until the server accepts
                self._move = asyncio.create_task(self._reopen(), name=f"reopen {listener.job}")
            case GateState.HELD | GateState.SUSPENDED:
                self._hold.hold()
                self._move = asyncio.create_task(self._drain(listener), name=f"drain {listener.job}")
            case GateState.ENDED:
                self._refuse_line(Outcome.ENDED)
                self._move = asyncio.create_task(self._finish(), name=f"finish {listener.job}")

    async def close(self) -> None:
        """Refuse who waits, close every WebSocket so that its client comes back, stop every task."""
        if self._move is not None:
            self._move.cancel()
            with suppress(asyncio.CancelledError):
                await self._move
        self._refuse_line(Outcome.MOVING)
        for relay in list(self.relays):
            relay.end(1012, "the gateway restarts")
        self.pool.close()

    def _refuse_line(self, outcome: Outcome) -> None:
        for who in self._hold.shut():
            self._answer(who, Refused(outcome))

    async def _drain(self, listener: Listener) -> None:
        """Until nothing of ours is inside the job any more; then say so."""
        await asyncio.gather(self._empty(), self._park_all())
        await self._park_all()  # those whose handshake was inside when the others were parked
        self.pool.aim(None)
        count = len(self.relays)
        log.info("drained", job=listener.job, generation=listener.generation, websockets=count)
        self._reporter.report(
            GateReport(listener.job, listener.port, listener.generation, drained=True, websockets=count)
        )

    async def _park_all(self) -> None:
        """Per path one after the other, so that we know which one the server saw close last."""
        await asyncio.gather(*(_park_in_order(group) for group in self._by_path()))

    def _by_path(self) -> list[list[Relayed]]:
        relays = sorted(self.relays, key=lambda one: (one.path, -one.parked_at))
        return [list(group) for _, group in itertools.groupby(relays, key=lambda one: one.path)]

    async def _empty(self) -> None:
        """Requests that may be sent again and have no answer yet are cut first, all others at the deadline."""
        if await self._quiet_within(self._timeouts.drain_replayable):
            return
        for one in list(self._inside.values()):
            if one.replayable:
                one.cut()
        if await self._quiet_within(self._timeouts.drain - self._timeouts.drain_replayable):
            return
        for one in list(self._inside.values()):
            one.cut()
        await self._quiet.wait()

    async def _quiet_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        return self._quiet.is_set()

    async def _reopen(self) -> None:
        """Wait for the server, bring the WebSockets back, then let the line go on."""
        listener = self.listener
        target = listener.target
        if target is None:
            log.error("open without an address", job=listener.job)
            return
        self.pool.aim(target)
        await self._until_it_accepts()
        lost = await self._revive_all()
        kept = len(self.relays)
        self._waited = self._hold.waiting
        self._hold.open()
        await self._release()
        self.counts.update(moves=1, websockets_kept=kept, websockets_lost=lost)
        log.info("reopened", job=listener.job, generation=listener.generation, websockets=kept, lost=lost)
        self._reporter.report(
            GateReport(
                listener.job,
                listener.port,
                listener.generation,
                reopened=True,
                waited=self._waited,
                websockets=kept,
                lost_websockets=lost,
            )
        )

    async def _until_it_accepts(self) -> None:
        """However long it takes; only the WebSockets are not kept in the dark for more than `redial`."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._timeouts.redial
        while not await self._accepts():
            if loop.time() > give_up:
                for relay in list(self.relays):
                    relay.end(1012, "the job's server does not accept connections")
            await asyncio.sleep(self._timeouts.redial_pause)

    async def _accepts(self) -> bool:
        try:
            connection = await self.pool.get(fresh=True)
        except Unreachable:
            return False
        connection.abort("only a probe")
        return True

    async def _revive_all(self) -> int:
        """Per path one after the other, the last that was closed first: it owns the server's replay buffer."""
        return sum(await asyncio.gather(*(_revive_in_order(group) for group in self._by_path())))

    async def _release(self) -> None:
        while (who := self._hold.call()) is not None:
            self._note()
            self._answer(who, Pass())
            await asyncio.sleep(self._timeouts.release_pace)

    async def _finish(self) -> None:
        """The job has ended for good: its answers under way may go on, its WebSockets are told to come back."""
        for relay in list(self.relays):
            relay.end(1012, "the job has ended")
        self.pool.close()

    # The exchanges' side

    @asynccontextmanager
    async def passage(self, exchange: Waiting) -> AsyncIterator[Pass | Refused]:
        """Inside for as long as the block runs, if the answer is Pass. Cancelling gives the place up."""
        who = next(self._numbers)
        try:
            answer = await self._arrive(who, exchange)
            if isinstance(answer, Pass):
                self._inside[who] = exchange
            yield answer
        finally:
            self.leave(who)

    def enter(self, exchange: Inside) -> int | None:
        """Go on at once, without a task: a number for `leave`; None if the gate is not open."""
        if self._hold.state is not State.OPEN:
            return None
        who = next(self._numbers)
        self._hold.arrive(who, 0.0)  # an open gate asks for no time
        self._inside[who] = exchange
        self._note()
        return who

    def leave(self, who: int) -> None:
        """What `enter` let in has ended."""
        self._inside.pop(who, None)
        self._hold.leave(who)
        self._note()

    async def _arrive(self, who: int, exchange: Waiting) -> Pass | Refused:
        loop = asyncio.get_running_loop()
        decision = self._hold.arrive(who, loop.time())
        self._note()
        match decision:
            case Go():
                return Pass()
            case No(why):
                return Refused(_OUTCOME[why])
            case Wait(deadline, shed):
                self.counts["held"] += 1
                if shed is not None:
                    self._answer(shed, Refused(Outcome.HOLD_FULL))
                return await self._stand_in_line(who, deadline, exchange)

    async def _stand_in_line(self, who: int, deadline: float, exchange: Waiting) -> Pass | Refused:
        call = self._calls[who] = asyncio.get_running_loop().create_future()
        meanwhile = asyncio.create_task(exchange.while_waiting(), name="while waiting")
        try:
            async with asyncio.timeout_at(deadline):
                answer: Pass | Refused = await call
                return answer
        except TimeoutError:
            return Refused(Outcome.HOLD_TIMEOUT)
        finally:
            del self._calls[who]
            meanwhile.cancel()
            await asyncio.gather(meanwhile, return_exceptions=True)  # a lost client is noticed again by who reads it

    def _answer(self, who: int, answer: Pass | Refused) -> None:
        call = self._calls.get(who)
        if call is not None and not call.done():
            call.set_result(answer)

    def _note(self) -> None:
        quiet = not self._hold.inside
        if quiet != self._quiet.is_set():
            (self._quiet.set if quiet else self._quiet.clear)()

    def lost(self) -> None:
        """The server at the listener's address fails."""
        if self.is_open:
            self._reporter.lost(self.listener)

    async def connection(self, *, fresh: bool) -> Connection:
        """A connection to the job. Raises Unreachable."""
        return await self.pool.get(fresh=fresh)


async def _park_in_order(relays: list[Relayed]) -> None:
    for relay in relays:
        await relay.park()


async def _revive_in_order(relays: list[Relayed]) -> int:
    """How many of them could not go on."""
    return sum([not await relay.revive() for relay in relays])
