"""The gate before one server of one job: the asyncio shell of `hold.py`.

Exchanges ask for `passage`, or `enter` without a task; relays enrol. The control plane says `follow(listener)`; what
follows from that is conducted by `conductor.py`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from weakref import WeakValueDictionary

import structlog

from gateway.config import Limits, Timeouts
from gateway.errors import Outcome
from gateway.types import Address, GateReport, GateState, Listener

from .conductor import Conductor
from .hall import Hall
from .hold import Go, Hold, No, State, Wait, Why
from .parking import Turn
from .pool import Pool
from .release import Release
from .twins import Copy, Twins
from .upstream import Connection

log = structlog.get_logger()


class Inside(Protocol):
    """An exchange inside the job, as the gate sees it."""

    @property
    def replayable(self) -> bool:
        """It may be sent again now."""

    def cut(self) -> None:
        """Give the job's side up now, and do not take it up again before the gate has let you in again."""


class Waiting(Inside, Protocol):
    """An exchange that may stand in line."""

    @property
    def twin_key(self) -> bytes:
        """All that it says, if another one that says the same might have its answer; else b""."""

    @property
    def copy(self) -> Copy | None:
        """Its answer for such others, if it can be shared."""

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
    address: Address | None

    @property
    def heard(self) -> int:
        """Grows whenever the browser has sent something: activity."""

    async def park(self) -> None:
        """Stop sending to the job, be sure that it read what was sent, and let go of it. Keep the browser."""

    def drop(self) -> None:
        """The job is not at `address` any more: let go of what is there at once. Keep the browser."""

    async def revive(self) -> bool:
        """Dial the job again, or end as the policy says. True when the browser's socket goes on."""

    def recover(self) -> None:
        """The gate is open: dial again if the job's side was lost while it was not."""

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

    def __init__(
        self, listener: Listener, timeouts: Timeouts, limits: Limits, reporter: Reporter, hall: Hall | None = None
    ) -> None:
        """`hall`: what waits before all gates of this process; None: this is the only one."""
        self._hall = hall or Hall(limits.waiting_per_gateway, limits.held_bytes_per_gateway)
        self.listener = listener
        self.pool = Pool(timeouts, limits)
        self.relays: set[Relayed] = set()
        self.hold: Hold[Inside] = Hold(max_waiting=limits.waiting_per_job, max_seconds=timeouts.hold)
        self.release = Release(limits.release_width, timeouts.release)
        self.quiet = asyncio.Event()
        """Nobody is inside; kept right only while the gate is not open."""
        self.counts: Counter[str] = Counter()
        """For metrics.py: held, shared, refused, moves, websockets_kept, websockets_lost."""
        self._twins = Twins()
        self._turns: WeakValueDictionary[bytes, Turn] = WeakValueDictionary()
        self._reporter = reporter
        self._calls: dict[Inside, asyncio.Future[Pass | Refused]] = {}
        self._conductor = Conductor(self, timeouts, reporter)
        self._move: asyncio.Task[None] | None = None
        self._patience, self._sharing = timeouts.hold, timeouts.sharing
        self._held_bytes = 0
        self._max_held_bytes = limits.held_bytes_per_job

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return self.hold.waiting

    @property
    def is_open(self) -> bool:
        """Requests go on to the job."""
        return self.hold.state is State.OPEN

    # What held bodies may take

    def take(self, count: int) -> bool:
        """See body.Budget."""
        if self._held_bytes + count > self._max_held_bytes or not self._hall.take(count):
            return False
        self._held_bytes += count
        return True

    def give(self, count: int) -> None:
        """See body.Budget."""
        self._held_bytes -= count
        self._hall.give(count)

    # The control plane's side

    def follow(self, listener: Listener) -> None:
        """The job's newest state. Idempotent; a newer generation replaces a move under way."""
        before, self.listener = self.listener, listener
        if self._move is not None and before.generation == listener.generation:
            return
        if self._move is not None:
            self._move.cancel()
        conductor, job = self._conductor, listener.job
        match listener.gate:
            case GateState.OPEN:
                self.hold.hold()  # until the server accepts
                self._move = asyncio.create_task(conductor.reopen(listener), name=f"reopen {job}")
            case GateState.HELD | GateState.SUSPENDED:
                self.hold.hold()
                self._move = asyncio.create_task(conductor.drain(listener), name=f"drain {job}")
            case GateState.ENDED:
                self._refuse_line(Outcome.ENDED)
                self._move = asyncio.create_task(conductor.finish(), name=f"finish {job}")
        self.note()

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
        for who in self.hold.shut():
            self._answer(who, Refused(outcome))

    # The exchanges' side

    @asynccontextmanager
    async def passage(self, exchange: Waiting) -> AsyncIterator[Pass | Refused | Copy]:
        """Inside for as long as the block runs, if the answer is Pass. Cancelling gives the place up."""
        since = asyncio.get_running_loop().time()
        key, followed = exchange.twin_key if self.hold.state is State.HELD else b"", False
        while self.hold.state is State.HELD and (elder := self._twins.elder(key)) is not None:
            found = await self._follow(elder, exchange, since)
            if found is not None:
                yield found
                return
            followed = True
        leads = self._twins.lead(key) if key and self.hold.state is State.HELD else None
        try:
            if followed and self.is_open:
                await self._take_turn(exchange)
            answer = await self._arrive(exchange, since)
            if leads is not None:
                self._expect(key, leads)
            yield answer
        finally:
            self.leave(exchange)
            if leads is not None:
                self._twins.settle(key, leads, exchange.copy)

    def is_awaited(self, key: bytes) -> bool:
        """Whether others may want the answer to a request that says this."""
        return self._twins.elder(key) is not None

    def unshared(self, key: bytes) -> None:
        """They cannot have it: they go on by themselves. May be said twice."""
        if (answer := self._twins.elder(key)) is not None:
            self._twins.settle(key, answer, None)

    def _expect(self, key: bytes, answer: asyncio.Future[Copy | None]) -> None:
        """The first of those who say the same goes on to the job: the others do not wait for ever."""
        timer = asyncio.get_running_loop().call_later(self._sharing, self._twins.settle, key, answer, None)
        answer.add_done_callback(lambda _: timer.cancel())

    async def _follow(
        self, elder: asyncio.Future[Copy | None], exchange: Waiting, since: float
    ) -> Copy | Refused | None:
        """What another one was answered; None: it must ask itself. It takes no place in line."""
        self.counts["shared"] += 1
        try:
            async with _meanwhile(exchange), asyncio.timeout_at(since + self._patience):
                return await asyncio.shield(elder)
        except TimeoutError:
            return Refused(Outcome.HOLD_TIMEOUT) if self.hold.state is State.HELD else None

    async def _take_turn(self, exchange: Waiting) -> None:
        """Who has waited for another's answer in vain goes on at the pace of the line."""
        await self.release.place()
        if self.is_open:
            self.release.take(exchange)

    def enter(self, exchange: Inside) -> bool:
        """Go on at once, without a task, until `leave`; False if the gate is not open."""
        if self.hold.state is not State.OPEN:
            return False
        self.hold.inside.add(exchange)
        return True

    def exit(self, exchange: Inside) -> None:
        """The twin of `enter`. May be said twice."""
        self.hold.inside.discard(exchange)
        if self.hold.state is not State.OPEN:
            self.note()

    def leave(self, exchange: Inside) -> None:
        """What was inside, or in line, is no more. May be said twice."""
        hold = self.hold
        hold.leave(exchange)
        if hold.state is not State.OPEN:
            self.note()
        elif self.release.under_way:
            self.release.free(exchange)

    def note(self) -> None:
        """Keep `quiet` right."""
        if self.hold.inside:
            self.quiet.clear()
        else:
            self.quiet.set()

    async def _arrive(self, exchange: Waiting, since: float) -> Pass | Refused:
        decision = self.hold.arrive(exchange, since)
        match decision:
            case Go():
                return Pass()
            case No(why):
                return Refused(_OUTCOME[why])
            case Wait(deadline, shed):
                self.counts["held"] += 1
                if shed is not None:
                    self._answer(shed, Refused(Outcome.HOLD_FULL))
                return await self._stand_in_line(exchange, deadline)

    async def _stand_in_line(self, exchange: Waiting, deadline: float) -> Pass | Refused:
        call = self._calls[exchange] = asyncio.get_running_loop().create_future()
        self._hall.enter(exchange, partial(self._answer, exchange, Refused(Outcome.GATEWAY_FULL)))
        try:
            async with _meanwhile(exchange), asyncio.timeout_at(deadline):
                answer: Pass | Refused = await call
                return answer
        except TimeoutError:
            return Refused(Outcome.HOLD_TIMEOUT)
        finally:
            del self._calls[exchange]
            self._hall.leave(exchange)

    def let_go(self, who: Inside) -> None:
        """It was called out of the line."""
        self._answer(who, Pass())

    def _answer(self, who: Inside, answer: Pass | Refused) -> None:
        call = self._calls.get(who)
        if call is not None and not call.done():
            call.set_result(answer)

    def lost(self) -> None:
        """The server at the listener's address fails."""
        if self.is_open:
            self._reporter.lost(self.listener)

    def turn(self, path: bytes) -> Turn:
        """What WebSockets of one path share while they let go of the job."""
        turn = self._turns.get(path)
        if turn is None:
            turn = self._turns[path] = Turn()
        return turn

    async def connection(self, *, fresh: bool) -> Connection:
        """A connection to the job. Raises Unreachable."""
        return await self.pool.get(fresh=fresh)


@asynccontextmanager
async def _meanwhile(exchange: Waiting) -> AsyncIterator[None]:
    """What an exchange does while it waits, for as long as the block runs."""
    task = asyncio.create_task(exchange.while_waiting(), name="while waiting")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # a lost client is noticed again by who reads it
