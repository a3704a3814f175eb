"""One WebSocket: the browser's connection stays, the job's comes and goes.

              park()                 pong of the barrier, close            revive()
    LIVE ───────────────► PARKING ───────────────────────────► PARKED ───────────────► LIVE
      │ the job's side is lost, or drop() ──────────────────────▲  │ cannot go on
      │ either side closes                                         ▼
      └──────────────────────────────► CLOSING ─────────────────► DONE

Laws
 1. In LIVE bytes pass as they came; only frame boundaries are followed (frames.py).
 2. PARKING ends a message before it stops, then a ping goes to the job: its pong proves that all before was read.
    Then the job's side is closed, and what it still sends goes to the browser (parking.py).
 3. In PARKED the browser's frames wait in order, bounded; then its socket is not read: back-pressure, no loss.
 4. Nothing is dropped in silence. If a message was cut in two, the barrier or the Close was not answered, or the job
    has moved before they were, the browser's socket is closed with 1012 after the move, so that the client comes back
    and asks again; within a frame, where there is no place for a Close, its connection just ends. Never 1000 or 1001:
    JupyterLab takes those for good. What a browser sent before it left in PARKED still goes to the job.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
from collections.abc import Callable
from contextlib import suppress

import structlog

from gateway.config import Limits, Timeouts
from gateway.types import Address

from .answer import UpstreamError
from .beat import Beat
from .doubt import Doubt
from .extensions import Chosen
from .frames import Control, Data, FrameError, Opcode, Piece, Scanner, close_frame, frame
from .gate import Gate
from .leg import Leg
from .parking import BARRIER, GOING_AWAY, Parking
from .passage import Received, State, to_browser, to_job
from .redial import Redialled, shake_again
from .terminal import TerminalReplay
from .transport import SocketTransport

log = structlog.get_logger()

SERVICE_RESTART = 1012  # RFC 6455's registry: clients come back
PROTOCOL_ERROR = 1002
_parkings = itertools.count(1)


class Resume(enum.Enum):
    """What a new connection to the job means for this protocol."""

    AS_IT_IS = "as it is"  # the server carries on: re-dial under the living socket
    TERMINAL = "terminal"  # the same, and its replay is cut
    COME_BACK = "come back"  # the peer keeps state per connection: the client must start anew


class Relay:
    """See the module's picture. `head` is the handshake as the job got it: it is sent again on each re-dial."""

    __slots__ = (
        "_beat",
        "_broken",
        "_browser",
        "_chosen",
        "_doubt",
        "_down",
        "_ended",
        "_gate",
        "_head",
        "_heard",
        "_job",
        "_leaving",
        "_limits",
        "_parking",
        "_recovering",
        "_resume",
        "_terminal",
        "_timeouts",
        "_up",
        "_waiting",
        "_waiting_size",
        "address",
        "parked_at",
        "path",
        "state",
    )

    def __init__(
        self,
        gate: Gate,
        *,
        path: bytes,
        head: bytes,
        address: Address | None,
        chosen: Chosen,
        resume: Resume,
        timeouts: Timeouts,
        limits: Limits,
    ) -> None:
        self.path = path
        self.parked_at = 0  # grows from one parking to the next, over all relays
        self.address = address  # where the job's side is, or was
        self._gate, self._head, self._chosen, self._resume = gate, head, chosen, resume
        self._timeouts, self._limits = timeouts, limits
        self.state = State.LIVE
        self._heard = 0
        self._up = Scanner(masked=True, extended=bool(chosen.extensions))
        self._down = self._new_down()
        self._terminal = TerminalReplay(limits.replay_terminal) if resume is Resume.TERMINAL else None
        self._browser: Leg | None = None
        self._job: Leg | None = None
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._broken = ""
        self._doubt = Doubt(timeouts.confirm, self._ask)
        self._parking: Parking | None = None
        self._leaving: asyncio.Task[None] | None = None  # it runs `_parking`
        self._recovering: asyncio.Task[None] | None = None
        self._beat = Beat(timeouts.ping, self._ping)
        self._ended: Callable[[], None] = lambda: None

    @property
    def heard(self) -> int:
        """See Relayed."""
        return self._heard + self._doubt.sent

    # Life

    def start(
        self,
        browser: SocketTransport,
        from_browser: bytes,
        job: SocketTransport,
        from_job: bytes,
        ended: Callable[[], None],
    ) -> None:
        """Both handshakes are done; the bytes are what came behind them. `ended` is called once, at the end."""
        self._ended = ended
        self._gate.relays.add(self)
        near = self._browser = Leg(self, browser, self._from_browser)
        far = self._job = Leg(self, job, self._from_job)
        if from_job:
            self._from_job(from_job)
        if from_browser:
            self._from_browser(from_browser)
        far.attach(self._way_down(far, near))
        near.attach(self._way_up(near, far))

    async def park(self) -> None:
        """Let go of the job, losing nothing. Idempotent; who waits may be cancelled, what has begun is finished."""
        self._stop_recovering()
        if self.state is State.LIVE and self._job is not None:
            self.state = State.PARKING
            self._parking = Parking(self._job, self._gate.turn(self.path), self._timeouts)
            if self._up.between_messages:
                self._parking.settled.set_result(None)
            self._leaving = asyncio.create_task(self._park(self._parking), name="park a websocket")
        elif self.state is State.CLOSING and self._job is not None:  # what was sent last may still reach it
            self._job.close(self._timeouts.close)
            await self._job.lost()
        if self._leaving is not None:
            await asyncio.shield(self._leaving)

    async def _park(self, parking: Parking) -> None:
        broken = await parking.run()
        self._broken = self._broken or broken
        self._parked()

    def drop(self) -> None:
        """Let go of the job at once: it has moved, and what it read or said last at this address is not known."""
        self._stop_recovering()
        job, state = self._job, self.state
        if job is None:
            return
        self._broken = self._broken or "the job moved before it had confirmed what was sent"
        job.transport.abort()  # who parks, or closes, goes on from here
        if state is State.LIVE:
            self._parked()

    async def revive(self) -> bool:
        """Dial again and let what waited go on; or close the browser's side with 1012."""
        self._stop_recovering()
        if self.state is State.LIVE and self.address != self._gate.pool.address:
            self.drop()
        if self._leaving is not None:
            await asyncio.shield(self._leaving)
        if self.state is not State.PARKED:
            return self.state is State.LIVE
        if self._broken or self._resume is Resume.COME_BACK:
            self.end(SERVICE_RESTART, "the job has moved")
            return False
        try:
            async with asyncio.timeout(self._timeouts.redial):
                found = await shake_again(self._gate, self._head, self._chosen)
        except (UpstreamError, TimeoutError) as error:
            log.warning("websocket not revived", path=self.path.decode("latin-1"), why=str(error))
            self.end(SERVICE_RESTART, "the job has moved")
            return False
        self._live(found)
        return True

    def end(self, code: int, reason: str) -> None:
        """Close both sides; the browser is told the code."""
        if self.state is State.DONE:
            return
        self.state = State.CLOSING
        self._beat.stop()
        if self._job is not None:
            if self._up.between_frames:  # else it would be taken for the rest of the frame
                self._job.send(close_frame(GOING_AWAY, "", masked=True))
            self._job.close(self._timeouts.close)
        if self._browser is not None:
            if self._down.between_frames:
                self._browser.send(close_frame(code, reason, masked=False))
            self._browser.close(self._timeouts.close)
        self._finish()

    def _finish(self) -> None:
        if self.state is State.DONE:
            return
        self.state = State.DONE
        self._beat.stop()
        self._doubt.stop()
        self._stop_recovering()
        self._waiting.clear()
        self._gate.relays.discard(self)
        self._ended()

    def _parked(self) -> None:
        if self.state in (State.CLOSING, State.DONE):
            return
        self._doubt.stop()
        if not self._down.between_messages:
            self._broken = self._broken or "the job's last message was cut in two"
        self.state, self._job = State.PARKED, None
        self._parking = self._leaving = None
        self.parked_at = next(_parkings)
        self._beat.start()
        if self._resume is Resume.COME_BACK and self._browser is not None:
            self._browser.stop("parked")  # what it sends now would be lost with the socket

    def _live(self, found: Redialled) -> None:
        transport = found.transport
        if self.state is not State.PARKED:
            transport.abort()
            return
        self._beat.stop()
        if self._browser is None:
            transport.write(b"".join(self._waiting) + close_frame(GOING_AWAY, "", masked=True))
            transport.close()
            self._finish()
            return
        self._down = self._new_down()
        if self._terminal is not None:
            self._terminal.redialled()
        job = self._job = Leg(self, transport, self._from_job)
        self.address, self.state = found.address, State.LIVE
        self._heard += self._doubt.sent
        self._doubt.stop()
        self._doubt = Doubt(self._timeouts.confirm, self._ask)
        for data in self._waiting:
            self._to_job(Data(data))
        self._waiting.clear()
        self._waiting_size = 0
        if found.rest:
            self._from_job(found.rest)
        self._browser.turn(self._way_up(self._browser, job))
        job.attach(self._way_down(job, self._browser))
        self._browser.go("parked")

    def _new_down(self) -> Scanner:
        return Scanner(masked=False, extended=bool(self._chosen.extensions))

    # Bytes

    def _way_up(self, browser: Leg, job: Leg) -> Received:
        return to_job(self, self._up, job.transport, self._doubt, browser.transport.read)

    def _way_down(self, job: Leg, browser: Leg) -> Received | None:
        if self._terminal is not None:
            return None  # its replay is cut
        return to_browser(self, self._down, browser.transport, job.transport.read)

    def other(self, leg: Leg, act: Callable[[Leg], None]) -> None:
        """Do this to the other side, if there is one."""
        peer = self._job if leg is self._browser else self._browser
        if peer is not None and leg in (self._browser, self._job):
            act(peer)

    def _from_browser(self, data: bytes) -> None:
        self._heard += 1
        try:
            self._sort(data)
        except FrameError as error:
            self._not_websocket(error)

    def _sort(self, data: bytes) -> None:
        """To the job, or among what waits for it."""
        if self.state is State.LIVE or self.state is State.CLOSING:
            for piece in self._up.feed(data):
                self._to_job(piece)
        elif self._parking is not None and not self._parking.settled.done():
            pieces, rest = self._up.feed_to_boundary(data)
            for piece in pieces:
                self._to_job(piece)
            if self._up.between_messages:
                self._parking.settled.set_result(None)
            if rest:
                self._sort(rest)
        else:
            for piece in self._up.feed(data):
                self._keep(piece)

    def _to_job(self, piece: Piece) -> None:
        if self._job is not None:
            self._job.send(piece.raw)
        if type(piece) is Data:
            self._doubt.count()
        elif type(piece) is Control and piece.opcode is Opcode.CLOSE:
            self.state = State.CLOSING

    def _keep(self, piece: Piece) -> None:
        """The job is away: data waits, control frames are answered here."""
        match piece:
            case Data(raw):
                self._waiting.append(raw)
                self._waiting_size += len(raw)
                if self._waiting_size > self._limits.parked_frames and self._browser is not None:
                    self._browser.stop("parked")
            case Control(Opcode.PING, payload, _) if self._browser is not None:
                self._browser.send(frame(Opcode.PONG, payload, masked=False))
            case Control(Opcode.CLOSE, payload, _) if self._browser is not None:
                self._browser.send(frame(Opcode.CLOSE, payload, masked=False))
                self._browser.transport.close()

    def _from_job(self, data: bytes) -> None:
        try:
            for piece in self._down.feed(data):
                self._from_job_piece(piece)
        except FrameError as error:
            self._not_websocket(error)

    def _from_job_piece(self, piece: Piece) -> None:
        parking = self._parking if self.state is State.PARKING else None
        match piece:
            case Data(raw):
                self._to_browser(raw if self._terminal is None else self._terminal.feed(raw))
            case Control(Opcode.PONG, payload, _) if payload == BARRIER:
                if parking is not None and not parking.barrier.done():
                    parking.barrier.set_result(None)
            case Control(Opcode.PONG, payload, _) if self._doubt.settles(payload):
                pass
            case Control(Opcode.PING, payload, _) if parking is not None and self._job is not None:
                self._job.send(frame(Opcode.PONG, payload, masked=True))
            case Control(Opcode.CLOSE) if parking is not None:
                if not parking.farewell.done():
                    parking.farewell.set_result(None)  # the answer to ours
            case Control(Opcode.CLOSE, _, raw):
                self.state = State.CLOSING
                self._to_browser(raw)
            case Control(_, _, raw):
                self._to_browser(raw)

    def _not_websocket(self, error: FrameError) -> None:
        log.info("websocket broken", path=self.path.decode("latin-1"), why=str(error))
        self.end(PROTOCOL_ERROR, str(error))

    def _ask(self, payload: bytes) -> bool:
        """A ping to the job, unless a frame is under way (RFC 6455 §5.4)."""
        if self.state is not State.LIVE or self._job is None or not self._up.between_frames:
            return False
        self._job.send(frame(Opcode.PING, payload, masked=True))
        return True

    def _to_browser(self, raw: bytes) -> None:
        if raw and self._browser is not None:
            self._browser.send(raw)

    def _ping(self) -> None:
        """The browser's side is kept alive while the job is away."""
        if self._browser is not None:
            self._browser.send(frame(Opcode.PING, b"", masked=False))

    # Ends

    def leg_lost(self, leg: Leg) -> None:
        """One side's connection has ended."""
        if leg is self._browser:
            self._browser = None
            if self.state in (State.PARKING, State.PARKED) and self._waiting:
                return
            if self._job is None:
                self._finish()
                return
            self.state = State.CLOSING
            self._job.close(self._timeouts.drain)
        elif leg is self._job and self.state is State.LIVE:
            self._lost_job()
        elif leg is self._job and self.state is State.CLOSING:
            if self._browser is not None:
                self._browser.close(self._timeouts.write_idle)
            self._finish()

    def _lost_job(self) -> None:
        """Nobody said Close: the server or its host is gone. Frames sent last may not have been read."""
        if self._doubt.exists or not self._up.between_messages:
            self._broken = self._broken or "nobody knows whether what was sent last was read"
        self._parked()
        self._gate.lost()
        if self._resume is Resume.COME_BACK or self._broken:
            self.end(SERVICE_RESTART, "the job's server was lost")
            return
        self.recover()

    def recover(self) -> None:
        """Dial while the gate stays open; one that is held and opens again revives its relays itself, in their order.

        Whoever is lost again before all others are back is not dialled then: this is said to all once the gate is open.
        """
        dialling = self._recovering is not None and not self._recovering.done()
        if self.state is State.PARKED and self._gate.is_open and not dialling:
            self._recovering = asyncio.create_task(self._recover(), name="recover a websocket")

    async def _recover(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeouts.redial):
                await self._until_live()
        if self.state is State.PARKED and self._gate.is_open:
            self.end(SERVICE_RESTART, "the job's server was lost")

    async def _until_live(self) -> None:
        while self.state is State.PARKED and self._gate.is_open:
            await asyncio.sleep(self._timeouts.redial_pause)  # first: a server may accept, and end it, for ever
            with suppress(UpstreamError):
                found = await shake_again(self._gate, self._head, self._chosen)
                if self._gate.is_open:
                    self._live(found)
                else:
                    found.transport.abort()

    def _stop_recovering(self) -> None:
        task, self._recovering = self._recovering, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
