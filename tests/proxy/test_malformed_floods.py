"""64 MiB of what a peer can send without end: a worker's memory stays where it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.types import GateState, JobStatus
from tests.peers import DEADLINE, Conversation, Script, backend, connect, eventually
from tests.ports import free_ports

from .test_group import children, group, opcenter, snapshot

SIZE = 64 << 20
FLAT = 24 << 20  # bytes that a worker may grow by: buffers of both sides, and what malloc keeps
TINY = 96 << 20  # the same for a job's chunks of one byte: they are counted without what Python adds to each
PIECE = 1 << 16
STUCK = 2.0  # seconds without progress: the other side pushes back, as it should
HEAD = b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def over_and_over(start: bytes, unit: bytes, size: int = SIZE) -> Iterator[bytes]:
    """`start`, then `unit` until there are `size` bytes."""
    yield start
    piece = unit * max(1, PIECE // len(unit))
    for _ in range(size // len(piece)):
        yield piece


Flood = Callable[[], Iterator[bytes]]
FROM_BROWSER: dict[str, Flood] = {
    "one chunk extension": lambda: over_and_over(HEAD + b"1;", b"a"),
    "chunk extensions": lambda: over_and_over(HEAD, b"1;%b\r\nx\r\n" % (b"a" * 1000)),
    "trailers": lambda: over_and_over(HEAD + b"1\r\nx\r\n0\r\n", b"A: b\r\n"),
    "one trailer": lambda: over_and_over(HEAD + b"1\r\nx\r\n0\r\nA: ", b"b"),
    "tiny chunks": lambda: over_and_over(HEAD, b"1\r\nx\r\n", SIZE // 8),
    "one header": lambda: over_and_over(GET + b"A: ", b"b"),
    "headers": lambda: over_and_over(GET, b"A: b\r\n"),
    "a target": lambda: over_and_over(b"GET /", b"a"),
    "a method": lambda: over_and_over(b"", b"G"),
    "empty lines": lambda: over_and_over(b"", b"\r\n"),
    "pipelined requests, answers not read": lambda: over_and_over(b"", GET + b"\r\n"),
    "a body for one who does not read": lambda: over_and_over(
        b"POST /deaf HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % SIZE, b"a"
    ),
}
FROM_JOB: dict[str, Flood] = {
    "one chunk extension": lambda: over_and_over(ANSWER + b"1;", b"a"),
    "chunk extensions": lambda: over_and_over(ANSWER, b"1;%b\r\nx\r\n" % (b"a" * 1000)),
    "trailers": lambda: over_and_over(ANSWER + b"1\r\nx\r\n0\r\n", b"A: b\r\n"),
    "tiny chunks": lambda: over_and_over(ANSWER, b"1\r\nx\r\n", SIZE // 8),
    "one header": lambda: over_and_over(b"HTTP/1.1 200 OK\r\nA: ", b"b"),
    "headers": lambda: over_and_over(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
    "a reason": lambda: over_and_over(b"HTTP/1.1 200 ", b"a"),
    "bytes behind the answer": lambda: over_and_over(OK, b"a"),
    "a body for one who does not read": lambda: over_and_over(b"HTTP/1.1 200 OK\r\n\r\n", b"a"),
}


# Grows by 97 MiB and ends in a RecursionError: see test_malformed_open.py.
FROM_JOB_INTERIM: dict[str, Flood] = {"interim answers": lambda: over_and_over(b"", b"HTTP/1.1 103 Hints\r\n\r\n")}


async def pour(peer: Conversation, pieces: Iterator[bytes]) -> None:
    """Send all of it, unless the other side has heard enough, or does not listen any more."""
    with suppress(ConnectionError, TimeoutError):
        for piece in pieces:
            async with asyncio.timeout(STUCK):
                await peer.say(piece)
    if not peer.writer.is_closing() and peer.writer.transport.get_write_buffer_size():
        peer.reset()  # nobody takes the rest


class Sink:
    """A job that reads what comes and answers heads; on `/deaf` it does not read on."""

    async def __call__(self, peer: Conversation) -> None:
        while True:
            head = await peer.head()
            if b"/deaf" in head:
                await asyncio.Event().wait()
            if b"chunked" in head:
                while await peer.reader.read(PIECE):
                    pass
                return
            await peer.say(OK)


def memory(pid: int, which: str) -> int:
    """Bytes: VmRSS is what is resident now, VmHWM the most since `forget`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{which}:")[2].split()[0]) << 10


def forget(pid: int) -> int:
    """Begin a new VmHWM (proc(5), clear_refs); gives what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return memory(pid, "VmRSS")


@dataclass
class Watched:
    """A gateway with processes of its own."""

    port: int
    parent: int
    workers: list[int]

    @contextmanager
    def flat(self, what: str) -> Iterator[None]:
        """A block in which no worker ends, or is ever much larger than before."""
        before = {pid: forget(pid) for pid in self.workers}
        yield
        assert children(self.parent) == self.workers, f"{what}: a worker ended"
        grown = max(memory(pid, "VmHWM") - before[pid] for pid in self.workers)
        assert grown < (TINY if what == "tiny chunks" else FLAT), f"{what}: a worker grew by {grown >> 20} MiB"


@asynccontextmanager
async def gateway(home: Path, script: Script) -> AsyncIterator[Watched]:
    """In front of a job, warm."""
    port, control = free_ports(2)
    async with backend(script) as (_, host, target), opcenter() as center, group(home, center.url) as process:
        await eventually(lambda: bool(center.sockets), "dialled")
        where = {"gate": GateState.OPEN, "address": host, "target_port": target, "status": JobStatus.EXECUTING}
        await center.publish(snapshot(5, [port], control, **where))
        await center.reported(1, "reopened")
        yield Watched(port, process.pid, children(process.pid))


async def test_a_browser_that_pours(tmp_path: Path) -> None:
    async with gateway(tmp_path, Sink()) as watched:
        for what, flood in FROM_BROWSER.items():
            with watched.flat(what):
                client = await connect("127.0.0.1", watched.port)
                await pour(client, flood())
                await client.close()


async def pour_from_job(tmp_path: Path, floods: dict[str, Flood], line: bytes) -> None:
    """One flood after the other, each to a browser that reads all of it or nothing."""
    next_flood = iter(floods.values())
    poured = asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.head()
        await pour(peer, next(next_flood)())
        poured.set()

    async with gateway(tmp_path, script) as watched:
        for what in floods:
            poured.clear()
            with watched.flat(what):
                await _ask_for(watched.port, line, poured, reads="does not read" not in what)


async def _ask_for(port: int, line: bytes, poured: asyncio.Event, *, reads: bool) -> None:
    client = await connect("127.0.0.1", port)
    await client.say(GET + line + b"\r\n")
    reading = asyncio.create_task(_read_all(client)) if reads else None
    async with asyncio.timeout(DEADLINE * 6):
        await poured.wait()
    if reading is not None:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await client.close()


@pytest.mark.parametrize("line", [b"", b"Keep-Alive: 300\r\n"], ids=["straight", "handler"])
async def test_a_job_that_pours(line: bytes, tmp_path: Path) -> None:
    await pour_from_job(tmp_path, FROM_JOB, line)


async def _read_all(client: Conversation) -> None:
    with suppress(ConnectionError):
        while await client.reader.read(PIECE):
            pass
