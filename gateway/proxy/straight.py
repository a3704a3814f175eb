"""The straight path: most requests, without a task or a future. heads.py decides, this moves the bytes.

A request goes this way when its head came whole, has no body, and asks for nothing that must wait or be kept.
Otherwise its bytes go to aiohttp's handler as if nothing had happened (exchange.py). So they do when the connection to
the job fails before a byte of the answer: the other path knows of holding and repeating.

    browser ──data_received──► heads.read_request ──► gate.enter, pool.take ──► job
    browser ◄──answering.py──── heads.read_answer ◄──data_received────────────── job
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from gateway.errors import Outcome

from . import cookies, headers
from .answering import Answering, NotHere
from .documents import may_be_page
from .headers import Visit, fields_of
from .heads import BadHead, Lines, Whole, read_request, without_connection
from .reply import refusal
from .upstream import Connection, Unreachable

if TYPE_CHECKING:
    from .browser import BrowserConnection
    from .door import Door

log = structlog.get_logger()


class Straight:
    """One browser connection's straight exchanges, one at a time."""

    __slots__ = (
        "_answering",
        "_client",
        "_connection",
        "_dialling",
        "_door",
        "_loop",
        "_method",
        "_out",
        "_page",
        "_raw",
        "_read",
        "_started",
        "_target",
        "_visit",
        "busy",
    )

    def __init__(self, client: BrowserConnection, door: Door, loop: asyncio.AbstractEventLoop) -> None:
        self._client, self._door, self._loop = client, door, loop
        self.busy = False
        self._dialling: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._answering: Answering | None = None
        self._read: tuple[Lines, bool] | None = None  # what `_out` was made of
        self._visit: Visit | None = None

    def accept(self, data: bytes, door: Door) -> bool:
        """Take these bytes if they are one request that may go straight. False: they are somebody else's."""
        request = read_request(data, door.known, door.config.limits)
        if request is None:
            return False
        method, target, lines = request
        page = lines.asks_for_page and method == b"GET" and may_be_page(target)
        if page and (door.documents.coded or (lines.trustworthy and door.marker not in lines.raw)):
            return False
        if not door.serves(lines.host) or not door.gate.enter(self):
            return False
        self._door, self._raw, self._method, self._target, self._page = door, data, method, target, page
        read = self._read
        if read is None or read[0] is not lines or read[1] is not page:
            self._read, self._out = (lines, page), self._edit(lines)
        self._answering = None
        self._started = time.time()
        self.busy = True
        connection = door.gate.pool.take()
        if connection is None:
            self._dialling = self._loop.create_task(self._dial())
        else:
            self._send(connection)
        return True

    def end(self) -> None:
        """The connection has ended, or is a relay's: let go of it, so that both are free at once."""
        self.client_gone()
        del self._client

    # What the gate asks

    @property
    def replayable(self) -> bool:
        """Nothing of the answer has gone to the browser, and all of these methods may be repeated."""
        return self._answering is None or not self._answering.begun

    def cut(self) -> None:
        """Give the job's side up: the job moves."""
        if self._dialling is not None:
            self._dialling.cancel()
            self._give_back()
        elif self._connection is not None:
            self._drop().abort("the job moves")
            self.job_lost(clean=False)

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
        connection.write(b"%b %b HTTP/1.1%b%b\r\n\r\n" % (self._method, self._target, self._out, self._target))

    def _edit(self, lines: Lines) -> bytes:
        """The header lines for the job, less other jobs' cookies, with our own, up to the target's place."""
        self._visit = visit = self._door.visit(self._client.client, lines.host)
        if self._page:
            asked = self._door.documents.asked(fields_of(lines.raw))
            return headers.before_target(asked, visit)
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
        answering = self._answering
        if answering is None:
            usual = self._usual(data)
            if usual is not None:
                whole, out = usual
                self._client.write(out)
                self._finish(whole.status, whole.size, keep=whole.keep, keep_client=True)
                return
            assert self._visit is not None
            answering = self._answering = Answering(
                self._client, self._door, self._method, self._visit, page=self._page
            )
        try:
            complete = answering.feed(data)
        except NotHere as error:
            log.info("a document is coded", job=self._door.job, why=str(error))
            self._drop().abort("for the other path")
            self._give_back()
        except BadHead as error:
            self._bad(error)
        else:
            if complete:
                self._finish(answering.status, answering.size, keep=answering.keep, keep_client=answering.keep_client)

    def _usual(self, data: bytes) -> tuple[Whole, bytes] | None:
        """See usual.py."""
        if self._page:
            assert self._visit is not None
            return self._door.usual.page(data, self._visit)
        return None if self._method == b"HEAD" else self._door.usual.answer(data)

    def _finish(self, status: int, size: int, *, keep: bool, keep_client: bool) -> None:
        """The answer is complete. Which of the two connections can be used again?"""
        connection = self._drop()
        if keep:
            self._door.gate.pool.keep(connection)
        else:
            connection.abort("not kept")
        self._leave(status, size)
        self._client.straight_done(keep=keep_client)

    def job_lost(self, *, clean: bool) -> None:
        """See upstream.Sink."""
        self._connection = None
        answering = self._answering
        complete = answering is not None and answering.close(clean=clean)
        if answering is None or not (complete or answering.begun):
            self._give_back()
            return
        if not complete:
            log.warning("answer cut short", job=self._door.job)
        self._leave(answering.status, answering.size)
        if not complete and not answering.keep_client:
            self._client.cut()
            return
        self._client.straight_done(keep=complete and answering.keep_client)

    # Ends

    def client_gone(self) -> None:
        """The browser has left: what it asked for is not wanted any more."""
        if not self.busy:
            return
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        if self._connection is not None:
            self._drop().abort("the client left")
        answering = self._answering
        self._leave(answering.status if answering else 0, answering.size if answering else 0)

    def flow(self, *, go: bool) -> None:
        """The browser takes bytes again, or does not."""
        if self._connection is not None:
            self._connection.flow(go)

    def _give_back(self) -> None:
        """Nothing was answered: the other path has the request now."""
        self._dialling = None
        self.busy = False
        self._door.gate.exit(self)
        if self._answering is not None:
            self._answering.end()
        self._client.take_other_path(self._raw)

    def _bad(self, error: BadHead) -> None:
        log.warning("bad answer", job=self._door.job, why=str(error))
        self._drop().abort("bad answer")
        if self._answering is None or not self._answering.begun:
            self._client.write(refusal(Outcome.BAD_ANSWER))
        self._leave(Outcome.BAD_ANSWER.status, 0)
        self._client.straight_done(keep=False)

    def _drop(self) -> Connection:
        connection = self._connection
        assert connection is not None
        connection.sink = None
        self._connection = None
        return connection

    def _leave(self, status: int, size: int) -> None:
        self.busy = False
        if self._answering is not None:
            self._answering.end()
        door = self._door
        door.gate.exit(self)
        access = door.access
        if access.on:
            now = time.time()
            took = now - self._started
            access.add(now, door.job, self._client.client, self._method, self._target, status, size, took)
