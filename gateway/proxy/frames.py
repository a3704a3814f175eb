"""WebSocket frames as they pass: where one ends and the next begins, and which are control frames (RFC 6455 §5).

Pure. A relay forwards payloads untouched, so nothing here is unmasked or joined on the way; only headers are read.
`Scanner` cuts a byte stream into `Data` (forward as it is) and `Control` (a whole ping, pong or close). The one
decoder, `text_of`, serves terminals, whose replay after a move has to be understood.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

_MASKED = 0x80
_FIN = 0x80
_MAX_CONTROL_PAYLOAD = 125  # §5.5


class Opcode(enum.IntEnum):
    """RFC 6455 §5.2."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class FrameError(Exception):
    """The bytes are not WebSocket frames that a peer may send: the connection is closed with 1002."""


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of data frames, whole or in part: forward them."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Control:
    """One whole control frame: `payload` unmasked, `raw` as it came."""

    opcode: Opcode
    payload: bytes
    raw: bytes


Piece = Data | Control


@dataclass(frozen=True, slots=True)
class _Head:
    opcode: Opcode
    fin: bool
    size: int  # bytes of the header itself
    length: int  # bytes of payload
    mask: bytes


class Scanner:
    """Follows one direction of one connection.

    `masked` says which direction: a client's frames are masked, a server's are not (§5.1). Bytes of a header that
    is not complete yet, and of a control frame, are kept until the rest comes; payloads never are.
    """

    __slots__ = ("_extended", "_in_message", "_kept", "_last_fragment", "_left", "_masked", "between_messages")

    def __init__(self, *, masked: bool, extended: bool = False) -> None:
        """`extended`: an extension was agreed, which may use the reserved bits of data frames (§5.2)."""
        self.between_messages = True
        """No frame and no fragmented message is under way: another connection could carry on from here."""
        self._masked = masked
        self._extended = extended
        self._kept = b""
        self._left = 0  # payload bytes of the current data frame that have not come yet
        self._in_message = False  # between the first fragment of a message and its last
        self._last_fragment = True  # of the frame that `_left` belongs to

    @property
    def between_frames(self) -> bool:
        """What was given out so far ends where a frame ends: a control frame may follow (§5.4)."""
        return not self._left

    def feed(self, data: bytes) -> list[Piece]:
        """Cut the next bytes. Raises FrameError; the scanner is of no use after that."""
        if self._left > len(data):  # the common case of a large message: all payload
            self._left -= len(data)
            return [Data(data)]
        pieces, _ = self._cut(data, stop=False)
        return pieces

    def feed_to_boundary(self, data: bytes) -> tuple[list[Piece], bytes]:
        """Cut the next bytes only as far as the end of the message under way; the rest is not looked at."""
        return self._cut(data, stop=True)

    def _cut(self, data: bytes, *, stop: bool) -> tuple[list[Piece], bytes]:
        data = self._kept + data if self._kept else data
        self._kept = b""
        pieces: list[Piece] = []
        begin = 0  # of the bytes that are data and not yet given out
        at = self._skip_payload(0, len(data))
        rest = b""
        while at < len(data):
            if stop and not self._in_message:
                data, rest = data[:at], data[at:]
                break
            skipped = self._skip_plain(data, at)
            if skipped:
                at = skipped
                continue
            head = _read_head(data, at, self._masked, self._extended)
            if head is None:
                break
            if head.opcode >= Opcode.CLOSE:
                end = at + head.size + head.length
                if end > len(data):
                    break
                if at > begin:
                    pieces.append(Data(data[begin:at]))
                pieces.append(_control(data[at:end], head))
                begin = at = end
                continue
            self._begin_frame(head)
            at = self._skip_payload(at + head.size, len(data))
        if at < len(data):
            self._kept = data[at:]
        if at > begin:
            pieces.append(Data(data if at - begin == len(data) else data[begin:at]))
        self.between_messages = not (self._left or self._in_message or self._kept)
        return pieces, rest

    def _skip_plain(self, data: bytes, at: int) -> int:
        """Where a whole, short, final data frame ends: what most frames are. 0 for any other, which `_cut` reads."""
        if self._in_message or len(data) - at < 2 or not 0x81 <= data[at] <= 0x82:
            return 0
        size = data[at + 1] - (_MASKED if self._masked else 0)
        end = at + size + (6 if self._masked else 2)
        return end if 0 <= size <= _MAX_CONTROL_PAYLOAD and end <= len(data) else 0

    def _begin_frame(self, head: _Head) -> None:
        if (head.opcode is Opcode.CONTINUATION) != self._in_message:
            raise FrameError("a fragment out of place")  # §5.4
        self._left = head.length
        self._last_fragment = head.fin
        self._in_message = True
        self._end_frame()

    def _end_frame(self) -> None:
        if not self._left and self._last_fragment:
            self._in_message = False

    def _skip_payload(self, at: int, end: int) -> int:
        taken = min(self._left, end - at)
        self._left -= taken
        self._end_frame()
        return at + taken


def _read_head(data: bytes, at: int, masked: bool, extended: bool = False) -> _Head | None:
    """The frame header at `at`, or None if it is not complete. Raises FrameError."""
    if len(data) - at < 2:
        return None
    first, second = data[at], data[at + 1]
    if first & 0x70 and (not extended or first & 0x08):
        raise FrameError("a reserved bit is set and no extension was agreed")
    if bool(second & _MASKED) != masked:
        raise FrameError("masking is wrong for this direction")
    try:
        opcode = Opcode(first & 0x0F)
    except ValueError:
        raise FrameError("an unknown opcode") from None
    length, size = second & 0x7F, 2
    if opcode >= Opcode.CLOSE and (length > _MAX_CONTROL_PAYLOAD or not first & _FIN):
        raise FrameError("a control frame that is too long or in fragments")
    if length > _MAX_CONTROL_PAYLOAD:
        wide = 2 if length == 126 else 8
        if len(data) - at < 2 + wide:
            return None
        length, size = int.from_bytes(data[at + 2 : at + 2 + wide]), 2 + wide
        if length >> 63:
            raise FrameError("a length of more than 63 bits")
    mask = b""
    if masked:
        if len(data) - at < size + 4:
            return None
        mask, size = data[at + size : at + size + 4], size + 4
    return _Head(opcode, bool(first & _FIN), size, length, mask)


def _control(raw: bytes, head: _Head) -> Control:
    return Control(head.opcode, _unmask(raw[head.size :], head.mask), raw)


def _unmask(payload: bytes, mask: bytes) -> bytes:
    if not mask or not payload:
        return payload
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(len(payload))


# Frames of our own: small, final, one frame each.

_NO_MASK_KEY = b"\0\0\0\0"  # masked by zeros: valid, and our own frames hold nothing to hide (§10.3)


def frame(opcode: Opcode, payload: bytes, *, masked: bool) -> bytes:
    """One final frame. `masked` when it goes to a server."""
    flag = _MASKED if masked else 0
    if len(payload) <= _MAX_CONTROL_PAYLOAD:
        head = bytes((_FIN | opcode, flag | len(payload)))
    elif len(payload) < 1 << 16:
        head = bytes((_FIN | opcode, flag | 126)) + len(payload).to_bytes(2)
    else:
        head = bytes((_FIN | opcode, flag | 127)) + len(payload).to_bytes(8)
    return head + (_NO_MASK_KEY if masked else b"") + payload


def close_frame(code: int, reason: str, *, masked: bool) -> bytes:
    """A Close frame (§5.5.1); the reason is cut at 123 bytes."""
    return frame(Opcode.CLOSE, code.to_bytes(2) + reason.encode()[:123], masked=masked)


def close_code(payload: bytes) -> int | None:
    """The status code in a Close frame's payload; None if it has none (§7.1.5)."""
    return int.from_bytes(payload[:2]) if len(payload) >= 2 else None


def text_of(raw: bytes, *, masked: bool) -> str | None:
    """The text of `raw` if it is exactly one whole, final text frame; None if it is anything else."""
    try:
        head = _read_head(raw, 0, masked)
    except FrameError:
        return None
    if head is None or head.opcode is not Opcode.TEXT or not head.fin or head.size + head.length != len(raw):
        return None
    try:
        return _unmask(raw[head.size :], head.mask).decode()
    except UnicodeDecodeError:
        return None


def size_of(raw: bytes, *, masked: bool) -> int:
    """Bytes of the frame that begins here, its header with them; 0 while that is not complete. Raises FrameError."""
    head = _read_head(raw, 0, masked)
    return 0 if head is None else head.size + head.length
