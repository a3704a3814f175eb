"""The product as a user has it: `float up` in a process of its own, and `float` commands beside it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 120.0  # seconds for a start; JupyterLab's first one compiles what it imports


@dataclass
class Product:
    """A running `float up`. `said` is everything that it has printed so far."""

    home: Path
    process: asyncio.subprocess.Process
    said: str = ""

    @property
    def access_url(self) -> str:
        return self._line("Access URL")

    @property
    def console_url(self) -> str:
        return self._line("Console")

    @property
    def login(self) -> tuple[str, str]:
        user, _, password = self._line("Login").partition(" / ")
        return user, password

    def _line(self, label: str) -> str:
        found = re.search(rf"{label} +(.+)", self.said)
        assert found, f"{label} is not in:\n{self.said}"
        return found[1].strip()

    async def float(self, *words: str) -> str:
        """Run a command; fails unless it succeeds."""
        code, out, err = await self.try_float(*words)
        assert code == 0, f"float {' '.join(words)}: {code}\n{out}\n{err}"
        return out

    async def try_float(self, *words: str) -> tuple[int, str, str]:
        """Run a command; exit code, stdout and stderr."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway",
            *words,
            env=environment(self.home),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def job(self) -> dict[str, Any]:
        """The one job."""
        (job,) = json.loads(await self.float("list", "-F", "json"))
        found: dict[str, Any] = json.loads(await self.float("show", "-j", job["id"], "-F", "json"))
        return found

    async def until_said(self, words: str) -> None:
        """Read what it prints until these words come."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while words not in self.said:
                line = await self.process.stdout.readline()
                assert line, f"float up ended:\n{self.said}"
                self.said += line.decode()

    async def end(self) -> None:
        """Ctrl-C, and wait until it has ended."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            self.said += (await self.process.stdout.read()).decode()
            await self.process.wait()


def environment(home: Path) -> dict[str, str]:
    """This process's, with a home of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MMC_", "FLOATGATE_HOME"))}
    criu = kept.get("FLOATGATE_CRIU") or str(Path.home() / ".floatgate" / "criu")
    return {**kept, "HOME": str(home), "FLOATGATE_HOME": str(home / "state"), "FLOATGATE_CRIU": criu}


def children(pid: int) -> list[int]:
    """Process ids of a process's children."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@asynccontextmanager
async def product(home: Path, ports: tuple[int, int], opcenter: int, *more: str) -> AsyncIterator[Product]:
    """`float up` until the session is ready; Ctrl-C at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        "up",
        "--no-browser",
        "--ports",
        f"{ports[0]}:{ports[1]}",
        "--opcenter-port",
        str(opcenter),
        *more,
        env=environment(home),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    made = Product(home, process)
    try:
        await made.until_said("Ctrl-C ")
        yield made
    finally:
        await made.end()
        print(made.said)
