"""The job's answer on its way to the browser: head edited, body as it comes, one tag into a document."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.config import Limits

from . import headers
from .answer import Answer, BadAnswer, Framing
from .coding import Decoder, Undecodable, coding_of
from .documents import Page
from .inject import Injector
from .reply import Form
from .sse import EventStream, is_event_stream
from .twins import Tape, may_share
from .upstream import Connection, Lost

if TYPE_CHECKING:
    from .exchange import Exchange


class Delivery:
    """One answer."""

    def __init__(self, exchange: Exchange, answer: Answer, connection: Connection) -> None:
        self._exchange, self._answer, self._connection = exchange, answer, connection

    async def run(self) -> None:
        """All of it. Raises UpstreamError when the job's part is cut short, ClientGone when the browser is."""
        exchange, answer = self._exchange, self._answer
        self._share()
        if exchange.stream is not None or self._begins_stream():
            await self._pass_events()
            return
        page = Page(headers.for_browser(answer.headers, exchange.visit))
        if exchange.navigation:
            body = answer.framing is not Framing.NONE
            page = exchange.door.documents.answered(answer.status, answer.headers, exchange.visit, body=body)
        page = page._replace(lines=[*page.lines, *exchange.greeting])
        form = Form.OPEN if page.tag else _FORM[answer.framing]
        exchange.reply.begin(answer.status, answer.reason, page.lines, form)
        if page.tag:
            await self._pass_on_with(page, exchange.door.config.limits)
        else:
            await self._pass_on()

    def _share(self) -> None:
        """Record it if others wait for it; if it cannot be theirs they need not wait until it is whole."""
        exchange, answer, key = self._exchange, self._answer, self._exchange.twin_key
        if not exchange.gate.is_awaited(key):
            return
        limit, unshared = exchange.door.config.limits.shared_answer, partial(exchange.gate.unshared, key)
        if self._begins_stream() or (answer.length or 0) > limit or not may_share(exchange.lines, answer.headers):
            unshared()
        else:
            exchange.reply.tape = Tape(limit, unshared)

    async def _pass_on(self) -> None:
        while chunk := await self._connection.read():
            await self._exchange.reply.send(chunk)
        await self._exchange.reply.finish(headers.trailers(self._connection.trailers))

    def _begins_stream(self) -> bool:
        events = is_event_stream(self._answer.status, self._answer.headers)
        return self._exchange.method == b"GET" and self._answer.framing is Framing.CHUNKED and events

    async def _pass_events(self) -> None:
        """Server-sent events, whole ones only; after a move the new answer goes on where the old one was cut."""
        exchange, reply = self._exchange, self._exchange.reply
        if exchange.stream is None:
            lines = headers.for_browser(self._answer.headers, exchange.visit)
            reply.begin(self._answer.status, self._answer.reason, lines, Form.OPEN)
            exchange.stream = EventStream(exchange.door.config.limits.event)
        elif not self._begins_stream():
            exchange.stream = None
            raise Lost("the stream was not taken up again")  # its client asks anew by itself
        stream = exchange.stream
        while chunk := await self._connection.read():
            await reply.send(stream.feed(chunk))
        exchange.stream = None
        await reply.send(stream.finish())
        await reply.finish()

    async def _pass_on_with(self, page: Page, limits: Limits) -> None:
        reply = self._exchange.reply
        injector = Injector(page.tag, limits.inject_scan)
        decoder = Decoder(coding_of(self._answer.headers)) if page.coded else None
        while chunk := await self._connection.read():
            if decoder is None:
                await reply.send(injector.feed(chunk))
                continue
            more = True
            while more:
                step = decoder.step(chunk)
                if isinstance(step, Undecodable):
                    raise BadAnswer("a body that is not of its Content-Encoding")
                await reply.send(injector.feed(step.data))
                chunk, more = b"", step.more
        await reply.send(injector.finish())
        await reply.finish()


_FORM = {
    Framing.NONE: Form.NONE,
    Framing.LENGTH: Form.DECLARED,
    Framing.CHUNKED: Form.OPEN,
    Framing.CLOSE: Form.OPEN,
}
