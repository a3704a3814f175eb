"""What follows the last chunk of a request's body. aiohttp's parser checks it and throws it away, so it is read here.

Pure. The bytes that aiohttp gets come here as well, after it has found nothing wrong with them.
"""

from __future__ import annotations

import httptools

from .headers import FORBIDDEN_IN_VALUE, RawHeaders

_HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


class _Fields:
    """llhttp's callbacks. The parser knows this object; this object does not know the parser: no circle."""

    def __init__(self, limit: int) -> None:
        self.lines: RawHeaders = []
        self.room = limit
        self.in_body = self.complete = self.more = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_body or self.complete:
            return  # of our own head, or of the next request
        self.room -= len(name) + len(value) + 4
        if self.room >= 0 and not FORBIDDEN_IN_VALUE.search(value):
            self.lines.append((name, value))

    def on_headers_complete(self) -> None:
        self.in_body = True

    def on_message_begin(self) -> None:
        self.more = self.complete

    def on_message_complete(self) -> None:
        self.complete = True


class Trailers:
    """Of one request with a chunked body; `feed` takes what comes behind its head."""

    __slots__ = ("_fields", "_parser")

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of all lines together."""
        self._fields = _Fields(limit)
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self._fields)
        self._parser.feed_data(_HEAD)

    @property
    def lines(self) -> RawHeaders:
        """As they came, once the body is at its end."""
        return self._fields.lines

    @property
    def too_large(self) -> bool:
        """There was more than the limit; it was not kept."""
        return self._fields.room < 0

    @property
    def complete(self) -> bool:
        """The end of the body has come."""
        return self._fields.complete

    def feed(self, data: bytes) -> bool:
        """Read on. False: more came than this body, or what is no body."""
        if self._parser is None:
            return False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._parser = None
            return False
        if self.complete:
            self._parser = None
        return not self._fields.more
