"""One line a request, written in batches: a line costs the straight path less than a tenth of its time.

Never the query, which may hold a login token. `$FLOATGATE_ACCESS_LOG=off` switches it off.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from functools import lru_cache

_INTERVAL = 0.5  # seconds until a line is on disk; lines of a killed worker's last moments are lost
_BATCH = 1000  # lines that are written at once even before that

_Line = tuple[float, str, str, bytes, bytes, int, int, float]


class AccessLog:
    """Lines for one worker, to stderr, which is gateway.log."""

    def __init__(self) -> None:
        self.on = os.environ.get("FLOATGATE_ACCESS_LOG", "on") != "off"
        self._lines: list[_Line] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(
        self, when: float, job: str, client: str, method: bytes, target: bytes, status: int, size: int, seconds: float
    ) -> None:
        """`when`: the end, time.time(). `size`: bytes of body to the browser. `status` 0: no answer was begun."""
        self._lines.append((when, job, client, method, target, status, size, seconds))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self.flush)
        elif len(self._lines) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if lines:
            sys.stderr.write("".join([_format(line) for line in lines]))
            sys.stderr.flush()


@lru_cache(maxsize=4)
def _stamp(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


@lru_cache(maxsize=1024)
def _quoted(path: bytes) -> str:
    return json.dumps(path.decode("latin-1"))


def _format(line: _Line) -> str:
    when, job, client, method, target, status, size, seconds = line
    stamp = _stamp(int(when))
    path = _quoted(target.partition(b"?")[0])
    return (
        f'{{"event": "request", "timestamp": "{stamp}.{int(when % 1 * 1000):03d}Z", "job": "{job}", '
        f'"client": "{client}", "method": "{method.decode("latin-1")}", "path": {path}, "status": {status}, '
        f'"bytes": {size}, "ms": {seconds * 1000:.1f}}}\n'
    )
