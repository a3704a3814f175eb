"""Starting and ending the processes of a benchmark: pinned to cores, each ended by its own id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

START = 60.0  # seconds from a program's start until its port accepts: JupyterLab's server on a busy machine
GRACE = 15.0  # seconds from SIGTERM to SIGKILL
STEP = 0.02  # seconds between two looks

Command = Sequence[str | Path]


class BenchFailed(Exception):
    """A program of the benchmark could not be started or gave no result. The text is one sentence."""


@dataclass
class Processes:
    """What was started, in order; ended in the reverse order by `close`."""

    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self,
        name: str,
        command: Command,
        cores: Sequence[int],
        ports: Sequence[int],
        environ: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Run pinned to `cores`, as the leader of its own process group, until all `ports` accept.

        Raises BenchFailed with the end of its log when it ends or does not open them in time.
        """
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [str(part) for part in pinned(cores, command)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env={**os.environ, **(environ or {})},
                start_new_session=True,
            )
        self.started.append(process)
        for port in ports:
            _until_accepts(name, process, port, log)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """SIGTERM to its group, SIGKILL to what is left of it after a while."""
        self.started.remove(process)
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        _signal(process, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        """End everything."""
        for process in reversed(self.started.copy()):
            self.end(process)


def pinned(cores: Sequence[int], command: Command) -> list[str | Path]:
    """The command, run on these cores only."""
    return ["taskset", "-c", ",".join(map(str, cores)), *command]


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)  # start_new_session: its group has its id


def _until_accepts(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(STEP)
    raise BenchFailed(f"{name} does not accept on port {port}: {log.read_text(errors='replace')[-600:].strip()}")
