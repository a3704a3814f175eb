"""The straight path: most requests, without a task or a future. heads.py decides, this moves the bytes.

A request goes this way when its head came whole, has no body, and asks for nothing that must wait, be kept or be
changed on its way. Otherwise its bytes go to aiohttp's handler as if nothing had happened (exchange.py). So they do
when the connection to the job fails before a byte of the answer: the other path knows of holding and repeating.

    browser ──data_received──► heads.read_request ──► gate.enter, pool.take ──► job
    browser ◄────────────────── heads.read_answer ◄──data_received────────────── job
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httptools
import structlog

from gateway.errors import Outcome

from . import cookies, headers
from .headers import Visit
from .heads import BadHead, Lines, StraightAnswer, StraightRequest, read_answer, read_request, without_connection
from .reply import refusal
from .upstream import Connection, Unreachable

if TYPE_CHECKING:
    from .door import Door
    from .listener import BrowserConnection

log = structlog.get_logger()

_END = b"\r\n\r\n"
_SMALL = 16 << 10  # bytes: a head and so much body are joined into one write


class Straight:
    """One browser connection's straight exchanges, one at a time."""

    __slots__ = (
        "_answer",
        "_begun",
        "_buffer",
        "_client",
        "_complete",
        "_connection",
        "_dialling",
        "_door",
        "_interim",
        "_keep",
        "_left",
        "_lines",
        "_loop",
        "_out",
        "_parser",
        "_raw",
        "_request",
        "_size",
        "_started",
        "_visit",
        "_who",
        "busy",
    )

    def __init__(self, client: BrowserConnection, door: Door, loop: asyncio.AbstractEventLoop) -> None:
        self._client, self._door, self._loop = client, door, loop
        self.busy = False
        self._dialling: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._lines: Lines | None = None
        self._visit: Visit | None = None

    def accept(self, data: bytes, door: Door) -> bool:
        """Take these bytes if they are one request that may go straight. False: they are somebody else's."""
        request = read_request(data, door.known)
        if request is None or not door.serves(request.lines.host):
            return False
        who = door.gate.enter(self)
        if who is None:
            return False
        self._door, self._who, self._raw, self._request = door, who, data, request
        self._answer: StraightAnswer | None = None
        self._begun = self._complete = False
        self._buffer, self._size, self._interim, self._started = b"", 0, 0, self._loop.time()
        self.busy = True
        connection = door.gate.pool.take()
        if connection is None:
            self._dialling = self._loop.create_task(self._dial())
        else:
            self._send(connection)
        return True

    # What the gate asks

    @property
    def replayable(self) -> bool:
        """Nothing of the answer has gone to the browser, and all of these methods may be repeated."""
        return not self._begun

    def cut(self) -> None:
        """Give the job's side up: the job moves."""
        if self._dialling is not None:
            self._dialling.cancel()
            self._give_back()
        elif self._connection is not None:
            self._drop().abort("the job moves")
            self.job_lost()

    # To the job

    async def _dial(self) -> None:
        try:
            connection = await self._door.gate.connection(fresh=True)
        except Unreachable:
            self._dialling = None
            self._give_back()
            return
        self._dialling = None
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        self._connection = connection
        connection.sink = self
        connection.write(self._head())

    def _head(self) -> bytes:
        """The head as it came, less other jobs' cookies, plus our own lines."""
        request: StraightRequest = self._request
        if self._lines is not request.lines:
            self._lines = request.lines
            self._out = self._edit(request.lines)
        return b"%b%b%b\r\n\r\n" % (request.line, self._out, request.target)

    def _edit(self, lines: Lines) -> bytes:
        """The header lines for the job, up to where the target has to follow."""
        self._visit = visit = self._door.visit(self._client.client, lines.host)
        raw, jar = lines.raw, lines.cookie
        if jar is not None:
            kept = cookies.incoming(raw[jar[1] : jar[2]], visit.cookie_prefix)
            name = raw[jar[0] : jar[1]]
            raw = raw[: jar[0]] + (b"" if kept is None else name + b" " + kept) + raw[jar[2] :]
        raw = without_connection(raw, raw.lower())
        return raw[:-2] + headers.added_before_target(visit)

    # From the job

    def from_job(self, data: bytes) -> None:
        """See upstream.Sink."""
        try:
            if self._answer is None:
                self._on_head(data)
            else:
                self._on_body(data)
        except BadHead as error:
            self._bad(error)

    def _on_head(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        end = data.find(_END)
        if end < 0:
            if len(data) > self._door.config.limits.head:
                raise BadHead("a head that is too large")
            self._buffer = data
            return
        end += len(_END)
        head, body = data[:end], data[end:]
        self._buffer = b""
        limits = self._door.config.limits
        if end > limits.head or head.count(b"\r\n") > limits.header_count + 2:
            raise BadHead("a head that is too large")
        self._parser = httptools.HttpResponseParser(self)
        assert self._visit is not None
        answer = read_answer(head, self._request.method, self._visit, self._parser)
        if answer.status < 200:
            self._on_interim(answer, body)
            return
        self._answer, self._keep = answer, answer.keep
        self._left = answer.length or 0
        self._begin(answer, body, data if answer.head is head else b"")

    def _on_interim(self, answer: StraightAnswer, rest: bytes) -> None:
        self._interim += 1
        if self._interim > self._door.config.limits.interim:
            raise BadHead("too many interim answers")
        if answer.status != 100:  # nobody asked for a 100
            self._client.write(answer.head)
        if rest:
            self._on_head(rest)

    def _begin(self, answer: StraightAnswer, body: bytes, both: bytes) -> None:
        """The head, and what body came with it, in one write if it is small. `both`: unchanged, as they came."""
        self._begun = True
        if both and answer.length == len(body):
            self._client.write(both)
            self._size, self._left = len(body), 0
            self._finish()
            return
        if len(body) > _SMALL or (body and (answer.chunked or answer.length is None)):
            self._client.write(answer.head)
            self._on_body(body)
            return
        part = body[: self._left]
        self._client.write(answer.head + part)
        self._size = len(part)
        self._left -= len(part)
        if len(part) < len(body):
            self._keep = False  # what follows is nobody's answer
        if not self._left and answer.length is not None:
            self._finish()

    def _on_body(self, data: bytes) -> None:
        answer = self._answer
        assert answer is not None
        self._size += len(data)
        if answer.length is None:
            if answer.chunked:
                self._feed(data)
            self._client.write(data)
            if self._complete:
                self._finish()
            return
        if len(data) > self._left:
            self._keep = False
            data = data[: self._left]
        self._left -= len(data)
        self._client.write(data)
        if not self._left:
            self._finish()

    def _feed(self, data: bytes) -> None:
        """llhttp follows the chunks; they go on as they came."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise BadHead(str(error)) from error

    def on_message_complete(self) -> None:
        """llhttp: the body has ended. A head without a length ends at once as far as llhttp knows; we know better."""
        if self._answer is not None:
            if self._complete:
                raise BadHead("a second answer")
            self._complete = True

    # Ends

    def _finish(self) -> None:
        """The answer is complete."""
        assert self._answer is not None
        connection = self._drop()
        if self._keep:
            self._door.gate.pool.keep(connection)
        else:
            connection.abort("not kept")
        self._leave(self._answer.status)
        self._client.straight_done(keep=not self._answer.until_close)

    def job_lost(self) -> None:
        """See upstream.Sink."""
        self._connection = None
        if not self._begun:
            self._give_back()
            return
        assert self._answer is not None
        if not self._answer.until_close:
            log.warning("answer cut short", job=self._door.job)
        self._leave(self._answer.status)
        self._client.straight_done(keep=False)

    def client_gone(self) -> None:
        """The browser has left: what it asked for is not wanted any more."""
        if not self.busy:
            return
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        if self._connection is not None:
            self._drop().abort("the client left")
        self._leave(self._answer.status if self._answer is not None else 0)

    def flow(self, *, go: bool) -> None:
        """The browser takes bytes again, or does not."""
        if self._connection is not None:
            self._connection.flow(go)

    def _give_back(self) -> None:
        """Nothing was answered: the other path has the request now."""
        self._dialling = None
        self.busy = False
        self._door.gate.leave(self._who)
        self._client.take_other_path(self._raw)

    def _bad(self, error: BadHead) -> None:
        log.warning("bad answer", job=self._door.job, why=str(error))
        self._drop().abort("bad answer")
        if not self._begun:
            self._client.write(refusal(Outcome.BAD_ANSWER, self._door.job))
        self._leave(Outcome.BAD_ANSWER.status)
        self._client.straight_done(keep=False)

    def _drop(self) -> Connection:
        connection = self._connection
        assert connection is not None
        connection.sink = None
        self._connection = None
        return connection

    def _leave(self, status: int) -> None:
        self.busy = False
        door, request = self._door, self._request
        door.gate.leave(self._who)
        took = self._loop.time() - self._started
        door.access.add(door.job, self._client.client, request.method, request.target, status, self._size, took)
