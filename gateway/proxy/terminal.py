"""Jupyter terminals after a move: cut from the server's replay what the browser already shows.

Pure. On every connect terminado sends `["setup", {}]` and then its last output, at most 1000 chunks, as one
`["stdout", text]` frame. Under a browser socket that lived on, the setup and the known part of that text would be
shown twice.
"""

from __future__ import annotations

import json

from .frames import Opcode, frame, split_frames, text_of


class TerminalReplay:
    """Follows one terminal's output, server to browser. `limit` bounds the characters kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._shown = ""
        self._pending = b""
        self._expecting = False  # after a re-dial, until the replay has been seen
        self._holding = False  # `_pending` has not been given out yet

    def redialled(self) -> None:
        """What comes next begins with setup and replay."""
        self._pending = b""
        self._expecting = self._holding = True

    def feed(self, raw: bytes) -> bytes:
        """Bytes of data frames as they came; returns what the browser should get. Raises FrameError."""
        frames, self._pending = split_frames(self._pending + raw, masked=False)
        if not self._holding:
            self._note(frames)
            return raw
        out = b"".join([self._filter(one) for one in frames])
        self._holding = self._expecting or bool(self._pending)
        return out

    def _note(self, frames: list[bytes]) -> None:
        for one in frames:
            kind, text = _message(one)
            if kind == "stdout":
                self._show(text)

    def _show(self, text: str) -> None:
        self._shown = (self._shown + text)[-self._limit :]

    def _filter(self, one: bytes) -> bytes:
        kind, text = _message(one)
        if not self._expecting:
            self._note([one])
            return one
        if kind == "setup":
            return b""
        self._expecting = False
        if kind != "stdout":
            return one
        new = unseen(self._shown, text)
        self._show(new)
        return frame(Opcode.TEXT, json.dumps(["stdout", new]).encode(), masked=False) if new else b""


def _message(one: bytes) -> tuple[str, str]:
    """Kind and text of a terminal message; two empty strings for anything else."""
    text = text_of(one, masked=False)
    if text is None:
        return "", ""
    try:
        message = json.loads(text)
    except ValueError:
        return "", ""
    if not isinstance(message, list) or not message or not isinstance(message[0], str):
        return "", ""
    rest = message[1] if len(message) > 1 and isinstance(message[1], str) else ""
    return message[0], rest


def unseen(shown: str, replay: str) -> str:
    """The part of `replay` that is not in `shown` yet. Both end somewhere in the same stream of output.

    Either the replay begins inside what was shown: the longest beginning of it with which `shown` ends is old. Or
    it begins before: then all of `shown` stands in it. If nothing fits, everything is new.
    """
    at = replay.rfind(shown) if shown else -1
    if at >= 0:
        return replay[at + len(shown) :]
    return replay[_overlap(shown, replay) :]


def _overlap(shown: str, replay: str) -> int:
    """Length of the longest beginning of `replay` with which `shown` ends, in linear time (KMP)."""
    tail = shown[-len(replay) :] if replay else ""
    table = [0] * len(replay)
    length = 0
    for index in range(1, len(replay)):
        while length and replay[index] != replay[length]:
            length = table[length - 1]
        length += replay[index] == replay[length]
        table[index] = length
    length = 0
    for char in tail:
        while length and (length == len(replay) or char != replay[length]):
            length = table[length - 1]
        length += bool(replay) and char == replay[length]
    return length
