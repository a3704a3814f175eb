"""A document that came back compressed in spite of `Accept-Encoding: identity`: content codings (RFC 9110 §8.4.1).

Pure. A step gives a bounded piece, so that a bomb does not fill the memory.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .headers import values

PLAIN = b"identity"
STEP = 64 << 10  # bytes of one step, brotli's up to half as much again: a bomb does not fill the memory


def _optional(*names: str) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_brotli = _optional("brotli", "brotlicffi")
if not hasattr(getattr(_brotli, "Decompressor", None), "can_accept_more_data"):
    _brotli = None  # before 1.2 its steps have no bound
_zstd = _optional("compression.zstd", "backports.zstd")
CODINGS = frozenset(
    [b"gzip", b"x-gzip", b"deflate"] + [b"br"] * (_brotli is not None) + [b"zstd"] * (_zstd is not None)
)
_ERRORS: tuple[type[Exception], ...] = (
    zlib.error,
    *([_brotli.error] if _brotli else []),
    *([_zstd.ZstdError] if _zstd else []),
)


def coding_of(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The Content-Encoding in lower case, as `Decoder` takes it; `identity` if there is none."""
    return b",".join(values(headers, b"content-encoding")).strip().lower() or PLAIN


@dataclass(frozen=True, slots=True)
class Decoded:
    """`more`: not all that came is decoded yet, call `step(b"")` before the next chunk."""

    data: bytes
    more: bool


@dataclass(frozen=True, slots=True)
class Undecodable:
    """The bytes are not of this coding. Before anything went out: pass them on as they came."""


class Decoder:
    """Decodes one body, in pieces of any size. Raises ValueError for a coding that is not in CODINGS."""

    def __init__(self, coding: bytes) -> None:
        if coding not in CODINGS:
            raise ValueError("unknown content coding")
        self._engine = _Brotli() if coding == b"br" else _Members(*_STREAMS[coding])

    def step(self, chunk: bytes) -> Decoded | Undecodable:
        """Decode `chunk`, which must be empty where `more` was said."""
        try:
            data = self._engine.step(chunk)
        except _ERRORS:
            return Undecodable()
        return Decoded(data, self._engine.more)


class _Brotli:
    def __init__(self) -> None:
        self._stream = _brotli.Decompressor()
        self.more = False

    def step(self, chunk: bytes) -> bytes:
        out: bytes = self._stream.process(chunk, output_buffer_limit=STEP)
        self.more = bool(out) and not self._stream.is_finished()  # only an empty step tells that it has no more
        return out


def _gzip(_: bytes) -> Any:
    return zlib.decompressobj(wbits=31)


def _deflate(head: bytes) -> Any:
    """RFC 9110 §8.4.1.2: the zlib format; but some send what is inside of it, and browsers take both."""
    is_zlib = head[0] & 0x0F == 8 and int.from_bytes(head[:2], "big") % 31 == 0  # RFC 1950 §2.2
    return zlib.decompressobj(wbits=15 if is_zlib else -15)


def _zstandard(_: bytes) -> Any:
    window = {_zstd.DecompressionParameter.window_log_max: 23}  # 8 MiB, RFC 9659 §3
    return _zstd.ZstdDecompressor(options=window)


_STREAMS = {
    b"gzip": (_gzip, b"\x1f\x8b"),
    b"x-gzip": (_gzip, b"\x1f\x8b"),
    b"deflate": (_deflate, b""),
    b"zstd": (_zstandard, b"\x28\xb5"),
}


class _Members:
    """Streams that may follow each other (RFC 1952 §2.2, RFC 8878 §3.1), if each begins with `magic`.

    Anything else after the end is ignored, as browsers do.
    """

    def __init__(self, begin: Callable[[bytes], Any], magic: bytes) -> None:
        self._begin = begin
        self._magic = magic
        self._stream: Any = None
        self._rest = b""
        self._over = False
        self.more = False

    def step(self, chunk: bytes) -> bytes:
        data, self._rest, self.more = self._rest + chunk, b"", False
        if self._stream is None or self._stream.eof:
            if len(data) < 2:
                self._rest = data
                return b""
            self._over |= self._stream is not None and not (self._magic and data.startswith(self._magic))
            self._stream = self._begin(data)
        return b"" if self._over else self._decode(data)

    def _decode(self, data: bytes) -> bytes:
        stream = self._stream
        out: bytes = stream.decompress(data, STEP)
        self._rest = stream.unused_data if stream.eof else getattr(stream, "unconsumed_tail", b"")
        self.more = bool(self._rest) or not getattr(stream, "needs_input", len(out) < STEP)
        return out
