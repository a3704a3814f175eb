"""Jupyter terminals after a move: cut from the server's replay what the browser already shows.

Pure. On every connect terminado sends `["setup", {}]` and then its last output, at most 1000 chunks, as one
`["stdout", text]` frame. Under a browser socket that lived on, the setup and the known part of that text would be
shown twice.

Laws
 1. Bytes come out in the order in which they went in, none twice, none left out but the setup and the known part.
 2. They come out at once. Only after a re-dial a frame waits for its end, until the replay has been seen.
 3. A frame longer than the limit is not kept: it passes as it comes and nothing of it is noted. If it came in the
    replay's place nothing is cut: shown twice is better than lost. The replay itself, which comes once, may be
    `REPLAY` times as long: 1000 chunks of 4 KiB, with JSON's escapes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from .frames import Opcode, frame, size_of, text_of

REPLAY = 16
_LONGEST_HEADER = 10  # bytes of a server's frame: 2, and 8 of length
_GAP = "\udfff"  # stands for what was shown and not noted: no decoder makes one, so no replay goes on over it


class TerminalReplay:
    """Follows one terminal's output, server to browser. `limit`: bytes of a frame, characters of output, kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._frames = _Frames(limit)
        self._shown = io.StringIO(newline="")
        self._expecting = False  # after a re-dial, until the replay has been seen

    def redialled(self) -> None:
        """What comes next begins with setup and replay."""
        self._frames = _Frames(REPLAY * self._limit)
        self._expecting = True

    def feed(self, raw: bytes) -> bytes:
        """Bytes of data frames as they came; returns what the browser should get. Raises FrameError."""
        if self._expecting:
            out = [self._filter(piece, whole=whole) for piece, whole in self._frames.cut(raw)]
            return b"".join(out) if self._expecting else b"".join(out) + self._frames.begun
        for piece, whole in self._frames.cut(raw):
            self._note(piece, whole=whole)
        return raw

    def _note(self, piece: bytes, *, whole: bool) -> None:
        if not whole:
            self._shown = io.StringIO(newline="")
            self._shown.write(_GAP)
            return
        kind, text = _message(piece)
        if kind == "stdout":
            self._show(text)

    def _show(self, text: str) -> None:
        self._shown.write(text)
        if self._shown.tell() > 2 * self._limit:  # not at each frame: cutting copies all that is kept
            self._shown, shown = io.StringIO(newline=""), self._shown.getvalue()
            self._shown.write(shown[-self._limit :])

    def _filter(self, piece: bytes, *, whole: bool) -> bytes:
        if not self._expecting:
            self._note(piece, whole=whole)
            return piece
        kind, text = _message(piece) if whole else ("", "")
        if kind == "setup":
            return b""
        self._expecting = False
        self._frames.limit = self._limit
        if kind != "stdout":
            self._note(piece, whole=whole)
            return piece
        new = unseen(self._shown.getvalue()[-self._limit :], text)
        self._show(new)
        return frame(Opcode.TEXT, json.dumps(["stdout", new]).encode(), masked=False) if new else b""


class _Frames:
    """Cuts a server's bytes into frames. One that is not whole yet is kept, up to the limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._begun = bytearray()
        self._size = 0  # bytes of the frame that has begun; 0: its header is not complete
        self._left = 0  # bytes of a frame too long to be kept that have not come yet

    @property
    def begun(self) -> bytes:
        """The frame that is not whole yet, as far as it came."""
        return bytes(self._begun)

    def cut(self, raw: bytes) -> Iterator[tuple[bytes, bool]]:
        """Whole frames, True; the bytes of a frame that is too long, as they come, False. Raises FrameError."""
        at = 0
        while at < len(raw):
            if self._left:
                begin, at = at, min(at + self._left, len(raw))
                self._left -= at - begin
                yield raw[begin:at], False
            elif self._size or self._measure(raw, at):
                begin, at = at, min(at + self._size - len(self._begun), len(raw))
                self._begun += raw[begin:at]
                if len(self._begun) == self._size:
                    yield self._taken(), True
            elif self._left:  # too long, as its header says
                if self._begun:
                    yield self._taken(), False
            else:
                self._begun += raw[at:]
                return

    def _measure(self, raw: bytes, at: int) -> bool:
        """Read the header of the frame that has begun. Whether the frame is one to keep."""
        size = size_of(bytes(self._begun) + raw[at : at + _LONGEST_HEADER], masked=False)
        if size > self.limit:
            self._left = size - len(self._begun)
        else:
            self._size = size
        return bool(self._size)

    def _taken(self) -> bytes:
        taken = bytes(self._begun)
        self._begun.clear()
        self._size = 0
        return taken


def _message(one: bytes) -> tuple[str, str]:
    """Kind and text of a terminal message; two empty strings for anything else."""
    text = text_of(one, masked=False)
    if text is None:
        return "", ""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(message, list) or not message or not isinstance(message[0], str):
        return "", ""
    rest = message[1] if len(message) > 1 and isinstance(message[1], str) else ""
    return message[0], rest


# What is new of a replay. All of it in time that grows with the text and not faster, in C: any job can send anything,
# and other jobs wait meanwhile. `find` is so (CPython's two-way search), `rfind` is not.


def unseen(shown: str, replay: str) -> str:
    """The part of `replay` that is not in `shown` yet. Both end somewhere in the same stream of output.

    Either the replay begins inside what was shown: the longest beginning of it with which `shown` ends is old. Or
    it begins before: then all of `shown` stands in it. If nothing fits, everything is new.
    """
    after = replay[::-1].find(shown[::-1]) if shown else -1
    if after >= 0:
        return replay[len(replay) - after :]
    return replay[_overlap(shown, replay) :]


def _overlap(shown: str, replay: str) -> int:
    """Length of the longest beginning of `replay` with which `shown` ends."""
    size = 1 << min(len(shown), len(replay)).bit_length()
    while size := size >> 1:
        if found := _overlap_of(size, shown[1 - 2 * size :], replay[: 2 * size - 1]):
            return found
    return 0


def _overlap_of(size: int, shown: str, replay: str) -> int:
    """The same, of the lengths from `size` to 2 · `size` - 1, which is also how long the texts are at most; 0: none.

    Each such overlap begins at a place in `shown` where the first `size` characters of `replay` stand. If these places
    are several they overlap each other, so `shown` repeats itself from the first to the last of them, with a period
    that is the distance of the first two; and so does the beginning of `replay`.
    """
    begin = replay[:size]
    first = shown.find(begin)
    if first < 0:
        return 0
    rest = shown[first:]
    if replay.startswith(rest):
        return len(rest)
    period = rest.find(begin, 1)
    if period < 0:
        return 0
    here, there = _repeats(rest, period), _repeats(replay, period)
    skip = here - there  # the repetition has to end at the same place in both
    if here == len(rest):  # unless `shown` ends first: then as many periods less as make it fit
        skip = -(-skip // period) * period
    return len(rest) - skip if 0 < skip <= len(rest) - size and replay.startswith(rest[skip:]) else 0


def _repeats(text: str, period: int) -> int:
    """How far from its beginning on `text` is what it was `period` characters before."""
    low, high = 0, len(text) - period
    while low < high:  # the halves grow smaller: all comparisons together are as long as the text
        middle = (low + high + 1) // 2
        if text[low:middle] == text[low + period : middle + period]:
            low = middle
        else:
            high = middle - 1
    return low + period
