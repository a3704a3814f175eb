"""What a browser asks for: as it came, whether it may pass at all, and as the job gets it."""

from __future__ import annotations

from functools import cached_property

from aiohttp import web

from gateway.errors import Outcome

from . import greeting, headers, replay
from .body import Body
from .browser import BrowserConnection
from .documents import may_inject_request
from .door import Door
from .handshake import is_websocket, offered
from .headers import RawHeaders, Visit


class Ask:
    """One request, less what becomes of it."""

    def __init__(self, request: web.BaseRequest, door: Door) -> None:
        self.request, self.door, self.gate = request, door, door.gate
        self.method = request.method.encode()
        self.target = request.raw_path.encode("utf-8", "surrogateescape")
        self.came: RawHeaders = list(request.raw_headers)
        timeouts, limits = door.config.timeouts, door.config.limits
        keep = replay.worth_keeping(self.method, self.target, door.table)
        self.body = Body(request, door.gate, timeouts, limits, keep=keep)
        if self.body.chunked:
            self.body.trailers = self.client.trailers_of(request.content)

    @property
    def host(self) -> bytes:
        """The Host header as it came."""
        found = headers.values(self.came, b"host")
        return found[0] if found else b""

    @property
    def jars(self) -> list[bytes]:
        """The values of its Cookie lines: one, from browsers."""
        return headers.values(self.came, b"cookie")

    @property
    def client(self) -> BrowserConnection:
        """The connection it came by."""
        protocol = self.request.protocol
        assert isinstance(protocol, BrowserConnection)
        return protocol

    @property
    def visit(self) -> Visit:
        """Who asks."""
        return self.door.visit(self.client.client, self.host, self.client.scheme)

    @property
    def navigation(self) -> bool:
        """A person's browser opens a page: it is given pages, not a bare 503."""
        return may_inject_request(self.method, self.target, self.came)

    @cached_property
    def greeting(self) -> RawHeaders:
        """For the answer to a browser's first page of this job."""
        first = self.navigation and greeting.is_trustworthy(self.came) and greeting.is_new(self.came, self.door.marker)
        return greeting.lines(self.door.marker, self.client.scheme) if first else []

    @property
    def of_old_worker(self) -> bool:
        """It is about a service worker that no page of this job can have registered, or comes from one."""
        about = greeting.is_worker_script(self.came) or greeting.is_workers_navigation(self.came)
        return about and greeting.is_new(self.came, self.door.marker)

    def admit(self) -> Outcome | None:
        """What may not pass gets its answer here; aiohttp's parser has refused the rest already."""
        if not self.client.allowed:
            return Outcome.REFUSED
        if self.method in (b"CONNECT", b"TRACE"):
            return Outcome.NO_TUNNELS
        limit = self.door.config.limits.head
        size = sum(len(name) + len(value) + 4 for name, value in self.came)
        if size - sum(map(len, self.jars)) > limit:
            return Outcome.HEADERS_TOO_LARGE
        hosts = headers.values(self.came, b"host")
        if len(hosts) != 1 or not headers.well_formed_host(hosts[0]) or not headers.well_formed_target(self.target):
            return Outcome.BAD_REQUEST
        if not headers.served_host(hosts[0], self.door.names):
            return Outcome.WRONG_HOST
        codings = headers.values(self.came, b"transfer-encoding")
        if codings and [coding.strip().lower() for coding in codings] != [b"chunked"]:
            return Outcome.BAD_CODING
        return Outcome.COOKIES_TOO_LARGE if size > limit else None

    @cached_property
    def head(self) -> bytes:
        """The request's head as the job gets it."""
        return headers.request_head(self.method, self.target, self.lines)

    @cached_property
    def lines(self) -> RawHeaders:
        """The lines of that head."""
        if is_websocket(self):
            return headers.for_job(offered(self), self.target, self.visit, upgrade=True)
        came = self.door.documents.asked(self.came) if self.navigation else self.came
        if self.greeting:
            came = headers.without(came, b"if-none-match")  # what it has is about to be forgotten
        out = headers.for_job(came, self.target, self.visit, upgrade=False)
        return [*out, (b"Transfer-Encoding", b"chunked")] if self.body.chunked else out
