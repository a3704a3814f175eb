"""Bytes kept to be sent again: in memory while they are few, then in a file that nobody else can open.

The file has no name: it is deleted as it is made, mode 0600 (tempfile.TemporaryFile), and its space is free again
when the exchange ends, however that is.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

_PIECE = 256 << 10  # bytes read back at a time


class Spool:
    """Append, then read from the beginning as often as needed.

    No reader and no writer uses the file's own position: a drain looks at the start of a body that is being sent.
    """

    def __init__(self, memory: int) -> None:
        """`memory`: bytes kept in memory before a file is made."""
        self.size = 0
        self._memory = memory
        self._chunks: list[bytes] = []
        self._file: IO[bytes] | None = None

    def append(self, chunk: bytes) -> None:
        """Keep a chunk. Raises OSError when the disk is full: nothing of it is kept then, and nothing else is lost."""
        if self._file is None and self.size + len(chunk) > self._memory:
            self._move_to_disk()
        if self._file is not None:
            _write_all(self._file, chunk, self.size)
        else:
            self._chunks.append(chunk)
        self.size += len(chunk)

    def _move_to_disk(self) -> None:
        file = tempfile.TemporaryFile(prefix="floatgate-", buffering=0)  # noqa: SIM115  # see close()
        try:
            _write_all(file, b"".join(self._chunks), 0)
        except OSError:
            file.close()
            raise
        self._file = file
        self._chunks.clear()

    def start(self, count: int) -> bytes:
        """The first bytes, at most so many."""
        if self._file is None:
            return b"".join(self._chunks)[:count]
        return os.pread(self._file.fileno(), min(count, self.size), 0)

    def chunks(self) -> Iterator[bytes]:
        """Everything so far, in pieces. Nothing may be appended meanwhile. Raises OSError when it cannot be read."""
        file, at, end = self._file, 0, self.size
        if file is None:
            yield from list(self._chunks)
            return
        while at < end:
            piece = os.pread(file.fileno(), min(_PIECE, end - at), at)
            if not piece:
                raise OSError("the file is shorter than what was written to it")
            at += len(piece)
            yield piece

    def close(self) -> None:
        """Forget everything. Idempotent."""
        if self._file is not None:
            self._file.close()
        self._file, self.size = None, 0
        self._chunks.clear()


def _write_all(file: IO[bytes], data: bytes, at: int) -> None:
    """All of it or, if that raises OSError, nothing."""
    view, end = memoryview(data), at
    try:
        while view:
            written = os.pwrite(file.fileno(), view, end)
            view, end = view[written:], end + written
    except OSError:
        with suppress(OSError):
            file.truncate(at)
        raise
