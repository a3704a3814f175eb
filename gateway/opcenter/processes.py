"""The gateways' processes: detached children that outlive us and are found again by their pid file."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import gateway

PID = "pid"
SETTINGS = "gateway.json"
LOG = "gateway.log"


class Processes(Protocol):
    """Start, find and end the process of the gateway whose folder this is."""

    async def spawn(self, folder: Path) -> None:
        """Start it, detached. Returns before it serves. Raises OSError."""

    def alive(self, folder: Path) -> bool:
        """Whether it runs, whoever started it."""

    async def stop(self, folder: Path) -> None:
        """SIGTERM, then SIGKILL to its whole session; returns when it is gone. Idempotent."""


class ProxyProcesses:
    """The real ones: `<command> --home <folder>`."""

    def __init__(self, command: Sequence[str] | None = None, grace: float = 20.0) -> None:
        """`command` None: the gateway of this package with this Python. `grace`: seconds until SIGKILL."""
        self._command = tuple(command or (sys.executable, "-m", "gateway.proxy"))
        self._grace = grace
        self._children: dict[Path, subprocess.Popen[bytes]] = {}

    async def spawn(self, folder: Path) -> None:
        """See Processes."""
        with (folder / LOG).open("ab") as log:
            self._children[folder] = subprocess.Popen(  # noqa: ASYNC220  # forks in about a millisecond
                [*self._command, "--home", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=_environment(os.environ),
            )

    def alive(self, folder: Path) -> bool:
        """See Processes."""
        return self._pid(folder) is not None

    async def stop(self, folder: Path) -> None:
        """See Processes."""
        pid = self._pid(folder)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if not await _gone(pid, self._grace):
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            await _gone(pid, self._grace)
        child = self._children.pop(folder, None)
        if child is not None:
            await asyncio.to_thread(child.wait)

    def _pid(self, folder: Path) -> int | None:
        child = self._children.get(folder)
        if child is not None and child.poll() is None:
            return child.pid
        return _from_file(folder / PID)


def write_settings(folder: Path, doc: Mapping[str, Any]) -> None:
    """Write `gateway.json`, readable by us alone, all of it or nothing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f"{SETTINGS}.{secrets.token_hex(4)}"
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        json.dump(doc, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / SETTINGS)


def read_settings(folder: Path) -> dict[str, Any]:
    """What `write_settings` wrote; empty when there is nothing that can be read."""
    try:
        doc = json.loads((folder / SETTINGS).read_text())
    except (OSError, ValueError):
        return {}
    return doc if isinstance(doc, dict) else {}


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    """Ours, so that the child finds the same package however we were started."""
    root = str(Path(gateway.__file__).parent.parent)
    paths = [root, *filter(None, base.get("PYTHONPATH", "").split(os.pathsep))]
    return {**base, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _from_file(path: Path) -> int | None:
    """The pid in the file, if that very process still runs: a pid is used again, a start time is not."""
    try:
        doc = json.loads(path.read_text())
        pid, started = int(doc["pid"]), str(doc["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    state = process_state(pid)
    return pid if state is not None and state == (started, True) else None


def process_state(pid: int) -> tuple[str, bool] | None:
    """(start time, whether it still runs) from proc_pid_stat(5), fields 22 and 3; None when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[19], fields[0] not in "ZX"


async def _gone(pid: int, seconds: float) -> bool:
    """Wait until the process has ended: pidfd_open(2) becomes readable then."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return True
