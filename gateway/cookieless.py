"""Connections to our own applications: the control port and the OpCenter, neither of which sets or reads a cookie.

A browser has one jar for all ports of a host (RFC 6265 §8.5), so whatever pages of jobs put into it comes here too,
with path=/login for a year. A head may therefore be as large as a jar, and what the parser refuses is answered and
logged without a word of the request: it holds other jobs' cookies.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from traceback import extract_tb
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from .config import Limits
from .errors import Outcome

log = structlog.get_logger()

Says = Callable[[Outcome], Mapping[str, Any]]


class _Bare(web.Response):
    """An answer that does not say what made it."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.pop("Server", None)


class CookielessConnection(RequestHandler):
    """A browser's connection to an application of ours."""

    __slots__ = ("_head_size", "_limits", "_payload", "_policy", "_says")

    def __init__(
        self,
        manager: web.Server,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        policy: Mapping[str, str],
        says: Says,
    ) -> None:
        """`policy`: the application's headers; `says`: its JSON for an outcome. For what is no request."""
        super().__init__(
            manager,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # None switches it off
            max_field_size=limits.jar,
            max_headers=limits.header_count,
        )
        self._limits, self._policy, self._says = limits, policy, says
        self._head_size = 0  # bytes of a head that is not whole yet
        self._payload: StreamReader | None = None  # of the last request that came

    def data_received(self, data: bytes) -> None:
        """A field may be as large as a jar, but one alone."""
        before = self._request_count
        super().data_received(data)
        if self._request_count != before and self._messages:
            self._payload = self._messages[-1][1]
        whole = self._request_count != before or self._upgraded
        in_body = self._payload is not None and not self._payload.is_eof()
        self._head_size = 0 if whole or in_body else self._head_size + len(data)
        if self._head_size > self._limits.jar + self._limits.head:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What the parser refused, or a fault of ours. Neither the answer nor the log quotes the request."""
        if isinstance(exc, HttpProcessingError):
            log.info("not HTTP", client=request.remote, why=type(exc).__name__)
        else:
            at = [f"{one.filename}:{one.lineno}" for one in extract_tb(exc.__traceback__)] if exc else []
            log.error("a fault of ours", why=type(exc).__name__, at=at, client=request.remote)
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer has gone out already")
        outcome = _outcome_of(exc, status, self.max_line_size)
        text = json.dumps(self._says(outcome))
        answer = _Bare(status=outcome.status, text=text, content_type="application/json", headers=self._policy)
        answer.force_close()
        return answer


def _outcome_of(exc: BaseException | None, status: int, max_line_size: int) -> Outcome:
    """aiohttp has one exception for all lines; its limit tells which line it was."""
    if isinstance(exc, LineTooLong):
        return Outcome.TARGET_TOO_LONG if str(max_line_size) in map(str, exc.args[1:]) else Outcome.HEADERS_TOO_LARGE
    if exc is not None and "Too many" in str(exc):
        return Outcome.HEADERS_TOO_LARGE
    return Outcome.BAD_REQUEST if status < 500 else Outcome.UNEXPECTED
