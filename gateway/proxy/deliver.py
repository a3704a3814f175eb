"""The job's answer on its way to the browser: head edited, body as it comes, one tag into a document."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import structlog

from gateway.config import Limits
from widget.assets import loader

from . import csp, headers, inject
from .reply import Form
from .sse import EventStream, is_event_stream
from .upstream import Answer, BadAnswer, Connection, Framing, Lost

if TYPE_CHECKING:
    from .exchange import Exchange

log = structlog.get_logger()


class Delivery:
    """One answer."""

    def __init__(self, exchange: Exchange, answer: Answer, connection: Connection) -> None:
        self._exchange, self._answer, self._connection = exchange, answer, connection
        self._lines = headers.for_browser(answer.headers, exchange.visit)

    async def run(self) -> None:
        """All of it. Raises UpstreamError when the job's part is cut short, ClientGone when the browser is."""
        if self._exchange.stream is not None or self._begins_stream():
            await self._pass_events()
            return
        nonce = self._document()
        if nonce is None:
            self._as_it_is()
            await self._pass_on()
            return
        tag = inject.script_tag(self._loader_path(), nonce)
        self._exchange.reply.begin(self._answer.status, self._answer.reason, self._lines, Form.OPEN)
        await self._pass_on_with(tag, self._exchange.door.config.limits)

    def _as_it_is(self) -> None:
        exchange, answer = self._exchange, self._answer
        if exchange.navigation and answer.status == 304:  # its lines replace the stored ones (RFC 9111 §4.3.4)
            amended = self._amended()
            if isinstance(amended, csp.Amended) and not amended.nonce:
                self._lines = amended.headers
            self._lines = inject.response_edits(self._lines, exchange.form)
        elif exchange.navigation:
            self._lines = inject.varies(self._lines)
        exchange.reply.begin(answer.status, answer.reason, self._lines, _FORM[answer.framing])

    async def _pass_on(self) -> None:
        while chunk := await self._connection.read():
            await self._exchange.reply.send(chunk)
        await self._exchange.reply.finish()

    def _begins_stream(self) -> bool:
        events = is_event_stream(self._answer.status, self._answer.headers)
        return self._exchange.method == b"GET" and self._answer.framing is Framing.CHUNKED and events

    async def _pass_events(self) -> None:
        """Server-sent events, whole ones only; after a move the new answer goes on where the old one was cut."""
        exchange, reply = self._exchange, self._exchange.reply
        if exchange.stream is None:
            self._as_it_is()
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

    def _document(self) -> bytes | None:
        """If the tag goes in: the nonce that it needs, or b"", and the head is edited. Else None."""
        exchange, answer = self._exchange, self._answer
        if not exchange.navigation or answer.framing is Framing.NONE:
            return None
        if not inject.may_inject_response(answer.status, answer.headers):
            return None
        amended = self._amended()
        if isinstance(amended, csp.DoNotInject):
            log.debug("not injected", job=exchange.gate.listener.job, why=amended.why)
            return None
        self._lines = inject.response_edits(amended.headers, exchange.form)
        return amended.nonce

    def _amended(self) -> csp.Amended | csp.DoNotInject:
        exchange = self._exchange
        host = exchange.host.decode("latin-1")
        name = headers.host_name(exchange.host)
        return csp.amend(
            self._lines,
            loader_url=f"http://{host}{self._loader_path().decode()}",
            control_origin=f"http://{name}:{exchange.door.control_port}",
            app_origin=f"http://{host}",
            fresh_nonce=secrets.token_urlsafe(16).encode(),
        )

    def _loader_path(self) -> bytes:
        exchange = self._exchange
        return loader(exchange.gate.listener.job, exchange.door.control_port).path.encode()

    async def _pass_on_with(self, tag: bytes, limits: Limits) -> None:
        reply = self._exchange.reply
        injector = inject.Injector(tag, limits.inject_scan)
        coding = inject.coding_of(self._answer.headers)
        decoder = None if coding == b"identity" else inject.Decoder(coding)
        while chunk := await self._connection.read():
            if decoder is None:
                await reply.send(injector.feed(chunk))
                continue
            more = True
            while more:
                step = decoder.step(chunk)
                if isinstance(step, inject.Undecodable):
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
