"""What `float up` shows: lines of progress, the block that says how to use it, and each change of the session."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gateway.types import JobStatus

from .jobdoc import has_ended

_WHEEL = "|/-\\"
_WIDTH = 13


class Screen:
    """Writes whole lines; on a terminal one line at the bottom may turn a wheel while something is awaited."""

    def __init__(self) -> None:
        self._wheel = itertools.cycle(_WHEEL) if sys.stdout.isatty() else None
        self._shown = ""

    def line(self, text: str = "") -> None:
        """A line that stays."""
        self.wipe()
        _echo(text, end=True)

    def event(self, text: str) -> None:
        """A line that stays, with the time of day."""
        self.line(f"{time.strftime('%H:%M:%S')}  {text}")

    def turn(self, text: str) -> None:
        """Turn the wheel once, on a terminal."""
        if self._wheel is None:
            return
        self.wipe()
        self._shown = f"{next(self._wheel)} {text}"
        _echo(self._shown, end=False)

    def wipe(self) -> None:
        """Take the wheel off the screen."""
        if self._shown:
            _echo(f"\r{' ' * len(self._shown)}\r", end=False)
            self._shown = ""


def _echo(text: str, *, end: bool) -> None:
    """A terminal that was closed, or a pipe that nobody reads any more, must not keep the session from being saved."""
    with contextlib.suppress(OSError):
        click.echo(text, nl=end)


@dataclass(slots=True)
class Story:
    """One job's changes as lines: `Floating: draining (user)`, then `Executing on 10.9.0.2 after 0.6 s`."""

    _last: tuple[str, str | None] | None = None
    _since: int | None = None  # when the move under way began, ms since the epoch

    def tell(self, job: dict[str, Any]) -> str | None:
        """The line for what has changed since the last time; None when nothing has."""
        status, since, seen = job["status"], job.get("statusSinceMs") or 0, (job["status"], job.get("step"))
        if seen == self._last:
            return None
        before, self._last = self._last, seen
        if status in (JobStatus.FLOATING, JobStatus.RESUMING, JobStatus.SUSPENDING):
            begun = before is None or before[0] != status
            self._since = since if begun else self._since
            return f"{status} …{_because(job)}" if begun else None
        took, self._since = since - (self._since or since), None
        after = f", {took / 1000:.1f} s" if took > 0 else ""
        where = f" on {job['workingHost']}" if job.get("workingHost") else ""
        told = has_ended(job) or job.get("trouble")
        return f"{status}{where}{after}{_because(job) if told else ''}"


def _because(job: dict[str, Any]) -> str:
    return f" ({job['reason']})" if job.get("reason") else ""


def block(job: dict[str, Any], url: str, console: str, login: str, real: bool) -> list[str]:
    """What stands on the screen while the session runs."""
    command = how_to_call()
    ends = "saves the session and ends everything; the next start brings it back"
    rows = [
        ("Access URL", url),
        ("Console", console),
        ("Login", login),
        ("Move it", f"{command} migrate -j {job['id']}"),
        ("Suspend it", f"{command} suspend -j {job['id']}      (and resume)"),
        ("", "or by the widget at the top right of the page"),
        ("Moves are", "real (CRIU)" if real else "simulated on this machine: float doctor says why"),
        ("Ctrl-C", ends if real else "ends everything, the session too"),
    ]
    state = "suspended, and everything else is ready" if job["status"] == JobStatus.SUSPENDED else "ready"
    return ["", f"  {job['name']} is {state}", "", *(f"    {head:<{_WIDTH}}{text}" for head, text in rows), ""]


def still_saved(job: dict[str, Any], logs: Sequence[str]) -> list[str]:
    """What stands on the screen when a saved session could not be brought back; `logs` are the names of its logs."""
    command = how_to_call()
    rows = [("Why", job["reason"]), ("Try again", f"{command} resume -j {job['id']}")]
    rows += [("CRIU's log", f"{command} log -j {job['id']} cat {one}") for one in logs if one == "move.log"]
    head = "  Your session could not be brought back. It is still saved, nothing is lost."
    return ["", head, "", *(f"    {name:<{_WIDTH}}{text}" for name, text in rows)]


def still_running(name: str, job_id: str, why: str) -> list[str]:
    """What stands on the screen when the end has left a job running: which, why, and what to do."""
    rows = [
        ("Why", why),
        ("To save it", f"put that right (free some space?), then {how_to_start()} finds it again, and Ctrl-C saves it"),
        ("To drop it", f"{how_to_start()}, then {how_to_call()} cancel -j {job_id}"),
    ]
    head = f"  {name} ({job_id}) is not saved: it goes on, and its gateway too. Nothing is lost."
    return ["", head, "", *(f"    {first:<{_WIDTH}}{text}" for first, text in rows), ""]


def how_to_call() -> str:
    """`float` if the shell finds this very one, else the path by which we were called."""
    ours = Path(sys.argv[0]).absolute()
    if ours.name != "float":
        return f"{os.path.relpath(sys.executable)} -m gateway"
    found = shutil.which("float")
    return "float" if found and Path(found).absolute() == ours else os.path.relpath(ours)


def how_to_start() -> str:
    """The command line that starts this again."""
    return "make run" if "MAKELEVEL" in os.environ else f"{how_to_call()} up"
