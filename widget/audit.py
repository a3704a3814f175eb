"""Who did what to which job from a widget, and who failed to log in. Never a password, a token or a nonce."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import structlog

_log = structlog.get_logger("floatgate.widget")


class Audit:
    """Says it in the log, and keeps it in `widget-audit.log` if there is a folder for it."""

    def __init__(self, home: Path | None) -> None:
        self._file = None if home is None else home / "widget-audit.log"

    def note(self, event: str, **fields: str) -> None:
        """One line."""
        _log.info(event, **fields)
        if self._file is not None:
            self._append({"time": time.time(), "event": event, **fields})

    def _append(self, doc: dict[str, object]) -> None:
        assert self._file is not None
        try:
            handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            _log.warning("audit file cannot be written", error=str(error))
            return
        with os.fdopen(handle, "a", encoding="utf-8") as out:
            out.write(json.dumps(doc) + "\n")
