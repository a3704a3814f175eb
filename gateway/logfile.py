"""The file that a process logs to. A log that cannot be written costs its lines, never the process that writes them."""

from __future__ import annotations

import contextlib
import os
from typing import TextIO, cast

import structlog


class LogFile:
    """What structlog writes lines to. On a full disk, or behind a terminal that is gone, they are lost."""

    def __init__(self, descriptor: int) -> None:
        """`descriptor`: open for writing, and the caller's."""
        self._descriptor = descriptor
        self._cut = False  # the last line is not there whole

    def write(self, text: str) -> None:
        """All of it in one call: several processes append to the same file. What does not fit is lost."""
        data = b"\n" * self._cut + text.encode("utf-8", "backslashreplace")
        with contextlib.suppress(OSError):
            self._cut = os.write(self._descriptor, data) < len(data)

    def flush(self) -> None:
        """Nothing is kept here."""


def lines_to(descriptor: int) -> structlog.WriteLoggerFactory:
    """For `structlog.configure`: loggers whose lines go there, as long as they can."""
    return structlog.WriteLoggerFactory(cast(TextIO, LogFile(descriptor)))
