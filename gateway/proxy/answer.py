"""An answer of a job as llhttp reads it: its head whole, then the chunks of its body if it comes in chunks.

Pure. Stricter than llhttp where that lets pass what two parsers could read in two ways.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

import httptools

from gateway.config import Limits

from .headers import FORBIDDEN_IN_VALUE, RawHeaders

_DIGITS = re.compile(rb"[0-9]{1,18}")
_BODILESS = frozenset({204, 304})  # RFC 9112 §6.3, with HEAD and 1xx


class UpstreamError(Exception):
    """The job's side failed. `str()` is for the log."""


class BadAnswer(UpstreamError):
    """What came is not an HTTP answer that may be passed on."""


class Framing(enum.Enum):
    """How the end of an answer's body is known (RFC 9112 §6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer; header names and values are the job's own bytes, in order."""

    status: int
    reason: bytes
    headers: RawHeaders
    framing: Framing
    length: int | None = None


class Reading:
    """One answer. Each method raises BadAnswer."""

    def __init__(self, method: bytes, limits: Limits) -> None:
        self._method, self._limits = method, limits
        self._reason = b""
        self._fields: RawHeaders = []
        self._pieces: list[bytes] = []
        self._parser: httptools.HttpResponseParser | None = None
        self._in_body = False
        self._trailer_size = 0
        self.trailers: RawHeaders = []
        """What followed the last chunk."""
        self.complete = False
        """The last chunk, and what follows it, have come."""
        self.keep = False
        """The connection can carry another exchange after this one."""

    def head(self, data: bytes) -> Answer:
        """Read a whole head, with the empty line."""
        parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError as error:
            raise BadAnswer(str(error)) from error
        self._check(parser.get_http_version())
        status = parser.get_status_code()
        if status < 100:
            raise BadAnswer("a status that HTTP does not have")
        framing, length = self._framing(status)
        self.keep = parser.should_keep_alive() and framing is not Framing.CLOSE
        self._in_body = True
        if framing is Framing.CHUNKED:
            self._parser = parser  # the two know each other until the end: a circle, to be opened then
        return Answer(status, self._reason, self._fields, framing, length)

    def _check(self, version: str) -> None:
        if version not in ("1.0", "1.1"):
            raise BadAnswer("a version that HTTP does not have")
        if version == "1.0" and any(name.lower() == b"transfer-encoding" for name, _ in self._fields):
            raise BadAnswer("a transfer coding in HTTP/1.0")  # RFC 9112 §6.1
        if any(FORBIDDEN_IN_VALUE.search(value) for _, value in self._fields):
            raise BadAnswer("a control character in a header")
        if FORBIDDEN_IN_VALUE.search(self._reason):
            raise BadAnswer("a control character in the reason phrase")
        if len(self._fields) > self._limits.header_count:
            raise BadAnswer("too many headers")

    def _framing(self, status: int) -> tuple[Framing, int | None]:
        """RFC 9112 §6.3, in its order; stricter where it allows a choice."""
        lengths = {value for name, value in self._fields if name.lower() == b"content-length"}
        codings = [value for name, value in self._fields if name.lower() == b"transfer-encoding"]
        if any(not _DIGITS.fullmatch(value) for value in lengths) or len(lengths) > 1:
            raise BadAnswer("a Content-Length that is not one number")
        if self._method == b"HEAD" or status in _BODILESS or status < 200:
            return Framing.NONE, None
        if codings:
            if len(codings) > 1 or codings[0].strip().lower() != b"chunked" or lengths:
                raise BadAnswer("a Transfer-Encoding other than one `chunked`, or with a Content-Length")
            return Framing.CHUNKED, None
        if lengths:
            return Framing.LENGTH, int(lengths.pop())
        return Framing.CLOSE, None

    def chunks(self, data: bytes) -> list[bytes]:
        """Read more of a chunked body: what is in the chunks."""
        assert self._parser is not None
        self._pieces = []
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise BadAnswer(str(error)) from error
        if self.complete:
            self._parser = None
        return self._pieces

    # llhttp's callbacks

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:
            self._fields.append((name, value))
            return
        if self.complete:
            return  # of a second answer
        self._trailer_size += len(name) + len(value) + 4
        if self._trailer_size > self._limits.head or FORBIDDEN_IN_VALUE.search(value):
            raise BadAnswer("trailers that are too large, or hold control characters")
        self.trailers.append((name, value))

    def on_message_begin(self) -> None:
        if self.complete:
            self.keep = False  # a second answer that nobody asked for

    def on_body(self, data: bytes) -> None:
        if not self.complete:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        """A head without a length ends at once as far as llhttp knows; we know better."""
        self.complete = self._in_body
