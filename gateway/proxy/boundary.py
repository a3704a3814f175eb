"""Where aiohttp's parser stands in what it was fed: at the beginning of a request, or in the middle of something.

The parser does not tell, and the straight path may take only what begins a request. So the ends of heads and of
bodies with a length are followed here. Pipelined and chunked requests are not: after one of them nobody knows, and
the connection stays with aiohttp.
"""

from __future__ import annotations

_END = b"\r\n\r\n"
CHUNKED = -1


class Boundary:
    """Of one connection. Pure."""

    __slots__ = ("_left", "_lost", "_tail", "between", "in_head")

    def __init__(self) -> None:
        self._left = 0  # bytes of a body that have not come yet
        self._tail = b""  # what has come of a head, its end
        self._lost = False
        self.between = True
        """The next byte begins a request."""
        self.in_head = False
        """A head has begun and not ended, as far as is known."""

    def fed(self, data: bytes, heads: int, length: int) -> None:
        """These bytes went to the parser, and so many heads ended in them.

        `length`: bytes of body that follow the last of those heads; CHUNKED: it is not known.
        """
        if self._lost:
            return
        if heads:
            seen = self._tail + data
            end = seen.find(_END) + len(_END)
            left = length - (len(seen) - end)
            self._go(b"", left, lost=heads > 1 or end < len(_END) or bool(self._left) or left < 0)
        elif self._left:
            left = self._left - len(data)
            self._go(b"", max(left, 0), lost=left < 0)
        else:
            self._go((self._tail + data)[-3:], 0, lost=False)

    def _go(self, tail: bytes, left: int, *, lost: bool) -> None:
        self._tail, self._left, self._lost = tail, left, lost
        self.in_head = bool(tail)
        self.between = not (tail or left or lost)
