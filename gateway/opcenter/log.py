"""Where the OpCenter's log goes: one JSON object a line, no tokens, no passwords, no access paths."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import structlog

from gateway.logfile import lines_to


def log_to(path: Path) -> None:
    """From now on everything that this process logs is appended to this file, readable by us alone."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    if stat.S_ISREG(os.fstat(file).st_mode):
        with suppress(PermissionError):
            os.fchmod(file, 0o600)  # it may be older than this
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=lines_to(file),
        cache_logger_on_first_use=False,
    )
