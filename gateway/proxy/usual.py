"""The usual answer: a head that came before, and a body that is all here.

A busy server says the same head again and again, at least within the second that its Date names. What becomes of it
depends on its bytes alone, so it is remembered by them: the answer then costs one look into a dict, and a document
the search for the tag's place besides. Every head is read in full the first time (heads.py, answering.py).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from gateway.config import Limits

from .documents import Written
from .headers import Visit
from .heads import StraightAnswer, Whole, read_whole
from .inject import usual_place

Key = TypeVar("Key", bound=Hashable)

_END = b"\r\n\r\n"
_REMEMBERED = 256  # heads of answers, and as many of documents
_LONG = 4 << 10  # bytes: longer heads are not remembered


class _Memory(dict[Key, Whole], Generic[Key]):
    """A bounded one. Which heads come again nobody knows, so it forgets all of them."""

    def keep(self, key: Key, whole: Whole) -> None:
        """Remember it."""
        if len(self) >= _REMEMBERED:
            self.clear()
        self[key] = whole


class Usual:
    """What is known of the heads of one port's job."""

    __slots__ = ("_answers", "_limits", "_pages")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._answers: _Memory[bytes] = _Memory()
        self._pages: _Memory[tuple[bytes, bytes, str]] = _Memory()

    def answer(self, data: bytes) -> tuple[Whole, bytes] | None:
        """What goes out, if these bytes are a usual answer to another method than HEAD."""
        end = data.find(_END) + 4
        head = data[:end]
        whole = self._answers.get(head)
        if whole is None:
            whole = read_whole(head, self._limits)
            if whole is None:
                return None
            if end <= _LONG:
                self._answers.keep(head, whole)
        if whole.size != len(data) - end:
            return None
        return whole, data if whole.head == head else whole.head + data[end:]

    def page(self, data: bytes, visit: Visit) -> tuple[Whole, bytes] | None:
        """What goes out, with the tag, if these bytes are a document like one that was learnt."""
        end = data.find(_END) + 4
        whole = self._pages.get((data[:end], visit.host, visit.scheme))
        if whole is None or whole.size != len(data) - end:
            return None
        at = usual_place(data, end, self._limits.inject_scan, whole.tag)
        if not at:
            return None
        return whole, b"".join((whole.head, data[end:at], whole.tag, memoryview(data)[at:]))

    def learn(self, head: bytes, answer: StraightAnswer, written: Written, visit: Visit) -> None:
        """This is the head of a document that got its tag, and what became of it."""
        once = b" nonce=" in written.tag  # such a tag is for one answer only
        if answer.length is None or once or len(head) > _LONG:
            return
        length = answer.length + len(written.tag)
        made = b"%bContent-Length: %d\r\n\r\n" % (written.head, length)
        whole = Whole(answer.status, answer.length, made, answer.keep, written.tag)
        self._pages.keep((head, visit.host, visit.scheme), whole)
