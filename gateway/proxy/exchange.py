"""One request from first byte to last. Start reading here.

    admit        is it HTTP that may pass at all?
    own          `/.gw/…` is the gateway's: loader, public state
    gate         go on, wait, or be told why not (a navigation gets a page)
    send         the head, edited by headers.py; the body as it comes
    answer       the job's head, then its body as it comes; one tag into a document
    again?       replay.py says whether a lost request may be sent once more

A WebSocket handshake takes the same way until the job has said 101; then a relay has both connections.
"""

from __future__ import annotations

import asyncio
import enum
import time
from contextlib import suppress

import structlog
from aiohttp import ClientError, web
from aiohttp.web_exceptions import HTTPException

from gateway.errors import Outcome
from gateway.types import GateState

from . import headers, own, replay
from .answer import Answer, BadAnswer
from .ask import Ask
from .body import BodyTimeout, TrailersTooLarge
from .deliver import Delivery
from .door import Door
from .gate import Refused
from .handshake import is_websocket, open_relay
from .replay import Attempt, Sent, Verdict
from .reply import ClientGone, Reply
from .sse import HEARTBEAT, EventStream
from .twins import Copy
from .upstream import Connection, Lost, Unreachable

log = structlog.get_logger()


class _Next(enum.Enum):
    """What follows an attempt."""

    DONE = "done"
    AGAIN = "again"


class Exchange(Ask):
    """One request. Made for it, used once."""

    def __init__(self, request: web.BaseRequest, door: Door) -> None:
        super().__init__(request, door)
        self.reply: Reply = Reply(request, door.config.timeouts.write_idle)
        self._cut = False  # by the gate: nothing may reach the job before it has let us in again
        self._connection: Connection | None = None
        self.stream: EventStream | None = None
        """Set while server-sent events pass: they go on after a move."""
        self._first_refusal: float | None = None
        self._losses = 0

    # The story

    async def run(self) -> web.StreamResponse:
        """Answer the request. CancelledError means that the client has left."""
        try:
            refusal = self.admit()
            if refusal is not None:
                self.reply.last()
                if refusal is Outcome.COOKIES_TOO_LARGE:
                    return await own.show_the_way_out(self)
                return await self._refuse(refusal)
            if own.is_ours(self.target):
                return await own.answer(self)
            if self.of_old_worker:
                return await own.forget_worker(self)
            while await self._pass() is _Next.AGAIN:
                pass
        except ClientGone:
            self.reply.cut()
        except (ClientError, HTTPException) as error:  # aiohttp: the client's body was cut or is not HTTP
            log.info("request broken", job=self.gate.listener.job, why=type(error).__name__)
            return await self._refuse(Outcome.BAD_REQUEST)
        except Exception:  # the border: a fault of ours must not take the connection's state along
            log.exception("a fault of the gateway", job=self.gate.listener.job, method=self.request.method)
            return await self._refuse(Outcome.UNEXPECTED)
        finally:
            self._drop_connection()
            self.body.close()
            if self.reply.begun and not self.reply.finished:
                self.reply.cut()
        return self.reply

    async def _pass(self) -> _Next:
        if self.navigation and not self.reply.begun and self.gate.listener.gate is not GateState.OPEN:
            return await self._show_page(_PAGE_OUTCOME[self.gate.listener.gate])
        async with self.gate.passage(self) as answer:
            if isinstance(answer, Refused):
                await self._refuse(answer.outcome)
                return _Next.DONE
            if isinstance(answer, Copy):
                await self.reply.repeat(answer)
                return _Next.DONE
            self._cut = False
            try:
                return await self._attempt()
            except Unreachable as error:
                return _Next.AGAIN if self._cut else await self._not_reached(error)
            except Lost as error:
                return await self._lost(error)
            except BadAnswer as error:
                return await self._bad_answer(error)
            except BodyTimeout:
                await self._refuse(Outcome.BODY_TIMEOUT)
                return _Next.DONE
            except TrailersTooLarge:
                await self._refuse(Outcome.HEADERS_TOO_LARGE)
                return _Next.DONE

    async def _attempt(self) -> _Next:
        connection = self._connection = await self.gate.connection(fresh=self._wants_fresh())
        if self._cut:
            raise Lost("the job moves")
        connection.begin(self.method)
        connection.write(self._head_again() if self.stream is not None else self.head)
        if is_websocket(self):
            return await self._upgrade(connection)
        sender = asyncio.create_task(self.body.send(connection)) if self.body.present else None
        try:
            answer = await self._final_head(connection, sender)
            await Delivery(self, answer, connection).run()
        finally:
            if sender is not None:
                sent = sender.done() and not sender.cancelled() and sender.exception() is None
                sender.cancel()
                with suppress(BaseException):  # its failure was raised above, or no longer matters
                    await sender
        self._connection = None
        if sender is None or sent:
            self.gate.pool.put(connection)
        else:
            connection.abort("the answer came before the request was complete")
            self.reply.cut()
        return _Next.DONE

    async def _final_head(self, connection: Connection, sender: asyncio.Task[None] | None) -> Answer:
        """Interim answers go on at once. A body that cannot be sent ends the wait."""
        while True:
            answer = await _first(connection, sender)
            if answer.status >= 200:
                return answer
            if answer.status == 101:
                raise BadAnswer("a 101 that nobody asked for")
            if answer.status != 100:  # ours has been sent, if the client wanted one
                self.reply.interim(answer.status, answer.reason, headers.for_browser(answer.headers, self.visit))

    async def _upgrade(self, connection: Connection) -> _Next:
        answer = await connection.head()
        while 100 <= answer.status < 200 and answer.status != 101:
            answer = await connection.head()
        if answer.status == 101:
            await self.reply.flushed()
            self.reply = open_relay(self, connection, answer)
            self._connection = None
            return _Next.DONE
        await Delivery(self, answer, connection).run()  # the job's refusal is the browser's
        self._connection = None
        self.gate.pool.put(connection)
        return _Next.DONE

    # What went wrong

    async def _not_reached(self, error: Unreachable) -> _Next:
        """Nothing was sent: try again, for as long as the OpCenter needs to see that a host is gone."""
        loop = asyncio.get_running_loop()
        if self._first_refusal is None:
            self._first_refusal = loop.time()
            log.warning("job unreachable", job=self.gate.listener.job, why=str(error))
        self.gate.lost()
        if loop.time() - self._first_refusal > self.door.config.timeouts.unreachable:
            return await self._fail(Outcome.UNREACHABLE)
        await asyncio.sleep(self.door.config.timeouts.redial_pause)
        return _Next.AGAIN

    async def _lost(self, error: Lost) -> _Next:
        if self.reply.begun and self.stream is None:
            log.warning("answer cut short", job=self.gate.listener.job, why=str(error))
            self.reply.cut()
            return _Next.DONE
        self._losses += self.gate.is_open  # while the gate is held it is the move that cuts, however often
        verdict = self._verdict if self.stream is None else Verdict.RESEND
        if verdict is Verdict.RESEND and self._losses <= _RETRIES:
            self._drop_connection()
            return _Next.AGAIN
        if isinstance(verdict, replay.Answer) and self._cut:
            await own.write(self, 200, [(b"Content-Type", verdict.content_type)], verdict.body)
            return _Next.DONE
        self.gate.lost()
        log.warning("request lost", job=self.gate.listener.job, method=self.request.method, why=str(error))
        return await self._fail(Outcome.LOST)

    async def _bad_answer(self, error: BadAnswer) -> _Next:
        log.warning("bad answer", job=self.gate.listener.job, why=str(error))
        if self.reply.begun:
            self.reply.cut()
            return _Next.DONE
        return await self._fail(Outcome.BAD_ANSWER)

    async def _fail(self, outcome: Outcome) -> _Next:
        if self.navigation and not self.reply.begun:
            return await self._show_page(outcome)
        await self._refuse(outcome)
        return _Next.DONE

    async def _show_page(self, outcome: Outcome) -> _Next:
        await own.show_page(self, outcome)
        return _Next.DONE

    async def _refuse(self, outcome: Outcome) -> web.StreamResponse:
        if self.reply.begun:
            self.reply.cut()
            return self.reply
        try:
            return await own.refuse(self, outcome)
        except ClientGone:
            self.reply.cut()
            return self.reply

    def log(self, seconds: float) -> None:
        """The line in the access log."""
        client = self.client.client if self.request.protocol else ""
        status = self.reply.status if self.reply.begun else 0
        job = self.gate.listener.job
        if self.door.access.on:
            self.door.access.add(time.time(), job, client, self.method, self.target, status, self.reply.size, seconds)

    # What the gate asks

    @property
    def replayable(self) -> bool:
        """It may be cut at once and sent again: it only reads, or waits for news, or has not been sent whole."""
        at_rest = replay.only_reads(self.method, self.target, self.door.table) or not self.body.complete
        return self.stream is not None or (at_rest and self._verdict is Verdict.RESEND)

    @property
    def _verdict(self) -> Verdict | replay.Answer:
        """What to do if the connection is lost now."""
        connection, body = self._connection, self.body
        answered = self.reply.begun or (connection is not None and connection.answered)
        sent = Sent.NONE
        if connection is not None and connection.sent:
            sent = Sent.ALL if body.complete else Sent.SOME
        attempt = Attempt(self.method, self.target, self.came, body.start, body.replayable, sent, answered)
        return replay.judge(attempt, self.door.table)

    @property
    def twin_key(self) -> bytes:
        """See gate.Waiting. A page may hold what is made for one person, such as a form's token."""
        streams = b"text/event-stream" in b",".join(headers.values(self.came, b"accept"))
        if self.method != b"GET" or self.body.present or self.stream is not None or streams or is_websocket(self):
            return b""
        if self.navigation:
            return b""
        return b"%d %d %b" % (self.request.version.minor, self.request.keep_alive, self.head)

    @property
    def copy(self) -> Copy | None:
        """See gate.Waiting."""
        return self.reply.copy

    async def while_waiting(self) -> None:
        """Comments into a stream that is open already; else the body is taken in."""
        if self.stream is None:
            await self.body.read_ahead()
            await self.client.watch_peer()
        while self.stream is not None:
            await self.reply.send(HEARTBEAT)
            await asyncio.sleep(self.door.config.timeouts.ping)

    def cut(self) -> None:
        """Give the job's side up: the job moves."""
        self._cut = True
        if self._connection is not None:
            self._connection.abort("the job moves")

    # Details

    def _head_again(self) -> bytes:
        """The same request for the rest of a stream."""
        assert self.stream is not None
        lines = headers.for_job(self.stream.again(self.came), self.target, self.visit, upgrade=False)
        return headers.request_head(self.method, self.target, lines)

    def _wants_fresh(self) -> bool:
        """A pooled connection may just be closing: only for what may be sent again if it is (RFC 9112 §9.3.1)."""
        return self.method not in (b"GET", b"HEAD") or is_websocket(self)

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.abort("dropped")
            self._connection = None


_RETRIES = 2  # a request that ends its server each time is not tried for ever

_PAGE_OUTCOME = {
    GateState.HELD: Outcome.MOVING,
    GateState.SUSPENDED: Outcome.SUSPENDED,
    GateState.ENDED: Outcome.ENDED,
}


async def _first(connection: Connection, sender: asyncio.Task[None] | None) -> Answer:
    """The next head, or the sender's failure if that comes first."""
    if sender is None or sender.done():
        _raise_failure(sender)
        return await connection.head()
    head = asyncio.create_task(connection.head())
    try:
        await asyncio.wait({head, sender}, return_when=asyncio.FIRST_COMPLETED)
        if not head.done() or head.exception() is not None:
            _raise_failure(sender)  # which may be why there is no head
        return await head
    finally:
        head.cancel()


def _raise_failure(sender: asyncio.Task[None] | None) -> None:
    if sender is not None and sender.done() and not sender.cancelled() and sender.exception() is not None:
        sender.result()
