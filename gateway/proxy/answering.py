"""A job's answer on the straight path: its head is checked and edited, its body goes on as it comes.

The usual answer, whole in one piece with nothing to edit, is written as the bytes that came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

from .headers import Visit
from .heads import BadHead, StraightAnswer, read_answer
from .weave import Weave

if TYPE_CHECKING:
    from .browser import BrowserConnection
    from .door import Door

_END = b"\r\n\r\n"
_LINE = b"\r\n"
_SMALL = 16 << 10  # bytes: a head and so much body are joined into one write


class NotHere(Exception):
    """The other path has to do it. Nothing has gone to the browser."""


class Answering:
    """One answer."""

    __slots__ = (
        "_answer",
        "_buffer",
        "_client",
        "_complete",
        "_door",
        "_interim",
        "_left",
        "_method",
        "_page",
        "_parser",
        "_pieces",
        "_visit",
        "_weave",
        "begun",
        "keep",
        "size",
        "status",
    )

    def __init__(self, client: BrowserConnection, door: Door, method: bytes, visit: Visit, *, page: bool) -> None:
        """`page`: a navigation's."""
        self._client, self._door, self._method, self._visit, self._page = client, door, method, visit, page
        self._answer: StraightAnswer | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._weave: Weave | None = None
        self._buffer = b""
        self._interim = 0
        self.begun = False
        """Bytes of it have gone to the browser."""
        self.keep = False
        """The job's connection can be used again."""
        self.size = 0
        """Bytes of body that came."""
        self.status = 0

    @property
    def ends_by_close(self) -> bool:
        """Nothing but the end of the job's connection ends the body."""
        answer = self._answer
        return answer is not None and answer.until_close

    @property
    def keep_client(self) -> bool:
        """The browser knows where the body ended."""
        return self._weave is not None or not self.ends_by_close

    def feed(self, data: bytes) -> bool:
        """Take bytes from the job; True when the answer is complete. Raises BadHead or NotHere."""
        if self._answer is None:
            return self._head(data)
        return self._body(data)

    def close(self, *, clean: bool) -> bool:
        """The job's connection has ended; True if the body has, too."""
        if not self.ends_by_close or not clean:
            return False
        if self._weave is not None:
            self._client.write(self._weave.feed(b"", last=True))
        return True

    def _head(self, data: bytes) -> bool:
        if self._buffer:
            data = self._buffer + data
        end = data.find(_END) + 4
        limits = self._door.config.limits
        if end < 4:
            if len(data) > limits.head:
                raise BadHead("a head that is too large")
            self._buffer = data
            return False
        head = data[:end]
        if end > limits.head or head.count(b"\n") > limits.header_count + 2:
            raise BadHead("a head that is too large")
        parser = httptools.HttpResponseParser(self)
        answer = read_answer(head, self._method, self._visit, parser)
        if answer.chunked:
            self._parser = parser
        if answer.status < 200:
            return self._interim_answer(answer, data[end:])
        self._answer, self.status, self.keep = answer, answer.status, answer.keep
        self._left = answer.length or 0
        self._complete = False
        size = len(data) - end
        if answer.head is head and answer.length == size and not self._page:
            self.begun, self.size = True, size
            self._client.write(data)
            return True
        return self._begin(answer, head, data[end:])

    def _interim_answer(self, answer: StraightAnswer, rest: bytes) -> bool:
        self._interim += 1
        if self._interim > self._door.config.limits.interim:
            raise BadHead("too many interim answers")
        if answer.status != 100:  # nobody asked for a 100
            self._client.write(answer.head)
        self._buffer = b""
        return self._head(rest) if rest else False

    def _begin(self, answer: StraightAnswer, head: bytes, body: bytes) -> bool:
        """The head, with what body came with it in one write if it is small."""
        self._buffer = b""
        edited = self._document(answer, head) if self._page else answer.head
        if self._weave is not None:
            return self._body(body) if body or self._over else False
        self.begun = True
        if len(body) > _SMALL or answer.length is None:
            self._client.write(edited)
            return self._body(body) if body or self._over else False
        part = body[: self._left]
        self._client.write(edited + part)
        self.size = len(part)
        self._left -= len(part)
        if len(part) < len(body):
            self.keep = False  # what follows is nobody's answer
        return not self._left

    def _document(self, answer: StraightAnswer, head: bytes) -> bytes:
        """A navigation's head; it waits for the body's first bytes if the tag goes in."""
        documents, chunked = self._door.documents, answer.chunked
        page = documents.written(answer.status, head, self._visit, body=answer.status not in (204, 304))
        if not page.tag:
            return page.head + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n")
        if page.coded:
            documents.coded = True
            raise NotHere(f"a document of {self._door.job} is compressed")
        self._door.usual.learn(head, answer, page, self._visit)
        self._weave = Weave(page, answer.length, self._door.config.limits.inject_scan)
        return b""

    @property
    def _over(self) -> bool:
        """No more body is to come."""
        answer = self._answer
        return self._complete or (answer is not None and answer.length is not None and not self._left)

    def _body(self, data: bytes) -> bool:
        answer = self._answer
        assert answer is not None
        if answer.length is not None:
            if len(data) > self._left:
                self.keep = False
                data = data[: self._left]
            self._left -= len(data)
        elif answer.chunked:
            plain, data = self._follow(data)
            data = data if self._weave is None else plain
        self.size += len(data)
        over = self._over
        if self._weave is not None:
            data = self._weave.feed(data, last=over)
        if data:
            self.begun = True
            self._client.write(data)
        return over

    def _follow(self, data: bytes) -> tuple[bytes, bytes]:
        """llhttp follows the chunks: what is in them, and their bytes.

        The last byte is fed by itself: what stands behind the end of the message is nobody's, and llhttp does not
        say where that begins. Raises BadHead.
        """
        self._pieces: list[bytes] = []
        assert self._parser is not None
        first, last = not self.size, memoryview(data)[-1:]
        try:
            self._parser.feed_data(memoryview(data)[:-1])
            if not self._complete:
                self._parser.feed_data(last)
                return b"".join(self._pieces), data
        except httptools.HttpParserError as error:
            if not self._complete:
                raise BadHead(str(error)) from error
        self.keep = False
        if not first:
            raise BadHead("bytes behind the last chunk")
        return b"".join(self._pieces), data[: end_of_chunks(data)]

    # llhttp's callbacks

    def on_body(self, data: bytes) -> None:
        """In a chunk."""
        if self._weave is not None and not self._complete:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        """The body has ended. A head without a length ends at once as far as llhttp knows; we know better."""
        if self._answer is not None:
            self._complete = True

    def end(self) -> None:
        """No more is fed."""
        self._parser = None  # it knows us: a circle, which only the garbage collector would open


def end_of_chunks(data: bytes) -> int:
    """Where a body in chunks ends that begins with these bytes, and has been found to be well-formed."""
    at, size = 0, 1
    while size:
        line = data.index(_LINE, at)
        size = int(data[at:line].partition(b";")[0], 16)
        at = line + len(_LINE) + (size + len(_LINE) if size else 0)
    return at + len(_LINE) if data.startswith(_LINE, at) else data.index(_END, at) + len(_END)
