"""Bytes kept to be sent again: in memory while they are few, then in a file that nobody else can open.

The file has no name: it is deleted as it is made, mode 0600 (tempfile.TemporaryFile), and its space is free again
when the exchange ends, however that is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

_PIECE = 256 << 10  # bytes read back at a time


class Spool:
    """Append, then read from the beginning as often as needed."""

    def __init__(self, memory: int) -> None:
        """`memory`: bytes kept in memory before a file is made."""
        self.size = 0
        self._memory = memory
        self._chunks: list[bytes] = []
        self._file: IO[bytes] | None = None

    def append(self, chunk: bytes) -> None:
        """Keep a chunk. Raises OSError when the disk is full."""
        if self._file is None and self.size + len(chunk) > self._memory:
            self._file = tempfile.TemporaryFile(prefix="floatgate-", buffering=0)  # noqa: SIM115  # see close()
            _write_all(self._file, b"".join(self._chunks))
            self._chunks.clear()
        if self._file is not None:
            _write_all(self._file, chunk)
        else:
            self._chunks.append(chunk)
        self.size += len(chunk)

    def start(self, count: int) -> bytes:
        """The first bytes, at most so many."""
        if self._file is None:
            return b"".join(self._chunks)[:count]
        self._file.seek(0)
        found = self._file.read(count)
        self._file.seek(0, 2)
        return found

    def chunks(self) -> Iterator[bytes]:
        """Everything so far, in pieces. Nothing may be appended meanwhile."""
        if self._file is None:
            yield from list(self._chunks)
            return
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece
        self._file.seek(0, 2)

    def close(self) -> None:
        """Forget everything. Idempotent."""
        if self._file is not None:
            self._file.close()
        self._file, self.size = None, 0
        self._chunks.clear()


def _write_all(file: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
