"""Where aiohttp's parser stands in what it was fed: at the beginning of a request, or in the middle of something.

The parser does not tell, and the straight path may take only what begins a request. So the ends of heads and of
bodies with a length are followed here. Pipelined requests are not: after one of them nobody knows. Chunks are followed
for their trailers alone: a connection that has had some stays with aiohttp.
"""

from __future__ import annotations

from .trailers import Trailers

_END = b"\r\n\r\n"
CHUNKED = -1
UNKNOWN = -2


class Boundary:
    """Of one connection. Pure."""

    __slots__ = ("_chunks", "_left", "_limit", "_lost", "_tail", "_wary", "between", "in_head")

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of a request's trailers."""
        self._limit = limit
        self._left = 0  # bytes of a body that have not come yet
        self._chunks: Trailers | None = None  # of a body that has not come to its end yet
        self._tail = b""  # what has come of a head, its end
        self._lost = False
        self._wary = False  # there have been chunks
        self.between = True
        """The next byte begins a request."""
        self.in_head = False
        """A head has begun and not ended, as far as is known."""

    def fed(self, data: bytes, heads: int, length: int) -> Trailers | None:
        """These bytes went to the parser, and so many heads ended in them. What will follow the last one's chunks.

        `length`: bytes of body that follow the last of those heads; CHUNKED, or UNKNOWN.
        """
        if self._lost:
            return None
        if heads:
            return self._fed_heads(data, heads, length)
        if self._chunks is not None:
            self._fed_chunks(self._chunks, data)
        elif self._left:
            left = self._left - len(data)
            self._go(b"", max(left, 0), lost=left < 0)
        else:
            self._go((self._tail + data)[-3:], 0, lost=False)
        return None

    def _fed_heads(self, data: bytes, heads: int, length: int) -> Trailers | None:
        seen = self._tail + data
        end = seen.find(_END) + len(_END)
        unclear = heads > 1 or end < len(_END) or bool(self._left) or self._chunks is not None
        if length == CHUNKED and not unclear:
            self._wary = True
            chunks = self._chunks = Trailers(self._limit)
            self._fed_chunks(chunks, seen[end:])
            return chunks
        left = length - (len(seen) - end)
        self._go(b"", left, lost=unclear or left < 0)
        return None

    def _fed_chunks(self, chunks: Trailers, data: bytes) -> None:
        fits = chunks.feed(data)
        if chunks.complete or not fits:
            self._chunks = None
        self._go(b"", 0, lost=not fits)

    def _go(self, tail: bytes, left: int, *, lost: bool) -> None:
        self._tail, self._left, self._lost = tail, left, lost
        self.in_head = bool(tail)
        self.between = not (tail or left or lost or self._wary)
