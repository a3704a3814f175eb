"""What a contract test needs of an engine, and how it waits and asks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.engines.base import Absent, PlacementId, Program, Running
from tests.ports import free_port

COUNTER = Path(__file__).with_name("counter.py")
DEADLINE = 20.0  # seconds for anything that a test waits for; the slowest takes two on a busy machine


@dataclass
class Bench:
    """One engine under test.

    Attributes:
        make: Another engine object on the same state, as a new OpCenter makes it; not opened.
        break_checkpoint: Makes the next checkpoint to this image fail while it lasts.
        break_restore: The same for a restore; gives the program to restore with.
        runs: Whether programs really run (the fake has none).
        maker: What another process calls to have such an engine, of `makers.py`.
    """

    folder: Path
    make: Callable[[], Any]
    break_checkpoint: Callable[[Any, Running, Path], contextlib.AbstractAsyncContextManager[None]]
    break_restore: Callable[[Any, Program], contextlib.AbstractAsyncContextManager[Program]]
    runs: bool = True
    maker: str = ""
    port: int = field(default_factory=free_port)
    engines: list[Any] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    _placements: int = 0

    async def engine(self) -> Any:
        """A new one, open."""
        engine = self.make()
        await engine.open()
        self.engines.append(engine)
        return engine

    def placement(self) -> PlacementId:
        """A fresh id; one with a slash and a space, since nobody said that there are none."""
        self._placements += 1
        return PlacementId(f"job/{os.getpid()} {self._placements}")

    def image(self) -> Path:
        """A fresh path of an image."""
        self.images.append(self.folder / f"image-{len(self.images)}")
        return self.images[-1]

    def program(self, *argv: str) -> Program:
        """The counter, or something else."""
        script = self.folder / COUNTER.name  # a copy: its path tells this test's processes from others'
        shutil.copyfile(COUNTER, script)
        words = argv or (sys.executable, str(script), "{address}", str(self.port))
        return Program(words, {"PATH": os.defpath, "HOME": str(self.folder)}, self.folder, self.folder / "out",
                       self.folder / "err", (self.port,), 2, 3)  # fmt: skip

    async def ask(self, running: Running, path: str = "/") -> str:
        """The answer of the program, waiting until it listens."""
        return await ask(running.address, self.port, path)

    async def clean(self) -> None:
        """Stop and discard everything that a test left."""
        engine = await self.engine()
        for placement in engine.known():
            await engine.stop(placement, 0)
        for image in self.images:
            await engine.discard(image)
        for one in self.engines:
            await one.close()


# An OpCenter in a process of its own: what it calls is given as an expression, and it is killed in the middle.
_OPCENTER = """
import asyncio, sys
from pathlib import Path
from gateway.engines.base import Program
from tests.engines.makers import {maker} as make
async def main():
    engine = make(Path(sys.argv[1]))
    await engine.open()
    await engine.{call}
asyncio.run(main())
"""


@contextlib.contextmanager
def opcenter(maker: str, state: Path, call: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run one call of an engine in another process, which gets SIGKILL at the end of the block."""
    words = [sys.executable, "-c", _OPCENTER.format(maker=maker, call=call), str(state)]
    with process(*words) as running:
        yield running


@contextlib.contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end."""
    quiet = subprocess.DEVNULL
    running = subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is so; fails after DEADLINE."""
    async with asyncio.timeout(DEADLINE):
        while not await what():  # noqa: ASYNC110 - the thing happens in another process
            await asyncio.sleep(0.01)


async def until_seen(engine: Any, placement: PlacementId, kind: type) -> Any:
    """Wait until `look` says this kind of thing, and give it."""

    async def so() -> bool:
        return isinstance(await engine.look(placement), kind)

    await until(so)
    return await engine.look(placement)


async def ask(host: str, port: int, path: str = "/") -> str:
    """GET, once more until somebody answers. Each on a connection of its own."""
    answer: list[str] = []

    async def answered() -> bool:
        with contextlib.suppress(OSError):
            answer.append(await _get(host, port, path))
        return bool(answer)

    await until(answered)
    return answer[0]


async def _get(host: str, port: int, path: str) -> str:
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(host, port)
        async with closing(writer):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(f"{head!r} {body!r}")
    return body.decode()


@contextlib.asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close a connection, however it ended."""
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def absent(engine: Any, placement: PlacementId) -> bool:
    """Whether the engine is certain that there is no such placement."""
    return isinstance(await engine.look(placement), Absent)


def processes(folder: Path) -> list[str]:
    """The command lines of all processes that name this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in line:
                found.append(line)
    return found
