"""A document's body on the straight path: the tag goes in, and the framing fits what comes out.

Where the first bytes already show the place of the tag, which is nearly always so, the length is known at once and
the document goes on with a Content-Length if it came with one. Else it goes on in chunks.
"""

from __future__ import annotations

from .documents import Written
from .inject import Injector


class Weave:
    """One document. `length`: the job's Content-Length; None if nobody knows it yet. Pure."""

    def __init__(self, page: Written, length: int | None, limit: int) -> None:
        self._head, self._tag, self._length = page.head, page.tag, length
        self._injector = Injector(page.tag, limit)
        self._chunked = False

    def feed(self, data: bytes, *, last: bool) -> bytes:
        """What goes to the browser now: head, framing and all. `last`: the document ends with these bytes."""
        injector = self._injector
        out = injector.feed(data)
        if last:
            out += injector.finish()
        if self._head:
            return self._begin(out, last=last)
        return self._chunks(out, last=last) if self._chunked else out

    def _begin(self, out: bytes, *, last: bool) -> bytes:
        head, self._head = self._head, b""
        length = len(out) if last else self._length
        if length is not None and self._injector.done:
            if not last and self._injector.injected:
                length += len(self._tag)
            return b"%bContent-Length: %d\r\n\r\n%b" % (head, length, out)
        self._chunked = True
        return b"%bTransfer-Encoding: chunked\r\n\r\n%b" % (head, self._chunks(out, last=last))

    def _chunks(self, out: bytes, *, last: bool) -> bytes:
        chunk = b"%x\r\n%b\r\n" % (len(out), out) if out else b""
        return chunk + b"0\r\n\r\n" if last else chunk
