"""The HTTP clients: each asks, checks its answer to the last byte, and asks again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from .server import content
from .tally import Tally
from .tide import Tide

THINK = 0.25  # seconds that a page is quiet between two requests: the load's pace, nothing waits for it to pass
PATIENCE = 60.0  # seconds for one answer: a held request waits for its move, on a machine that does other things too
_SMALL_WINDOW = 16 << 10  # bytes of a download's receive buffer, so that most of it is still with the job


class Cut(Exception):
    """The connection ended in the middle of an answer."""


class Closed(Exception):
    """The connection ended instead of an answer."""


class Dishonest(Exception):
    """An answer that is neither the job's nor the one honest error."""


class Honest(Exception):
    """503, and the gateway says why."""


@dataclass
class World:
    """What all clients of a run share."""

    port: int
    tally: Tally
    tide: Tide
    lossy: bool = False
    """Hosts die: honest errors are counted, and are no failures."""
    download: int = 16 << 20
    upload: int = 3 << 20


class Browser:
    """One client and its keep-alive connection."""

    def __init__(self, world: World, name: str, kind: str) -> None:
        self.world, self.name, self.kind = world, name, kind
        self.port = world.port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def close(self) -> None:
        """Leave."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.transport.abort()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection: the one of the last answer if it was kept."""
        if self._writer is None or self._reader is None or self._writer.is_closing() or self._reader.at_eof():
            sock = socket.socket()
            sock.setblocking(False)
            if self.kind == "download":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_WINDOW)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
            self._reader, self._writer = await asyncio.open_connection(sock=sock, limit=1 << 17)
        return self._reader, self._writer

    async def say(self, head: str, body: bytes = b"") -> None:
        """A head with our Host, and bytes behind it."""
        _, writer = await self.connect()
        writer.write(f"{head}\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode() + body)

    async def say_more(self, data: bytes) -> None:
        """More of a body. The gateway may have answered already, and closed."""
        assert self._writer is not None
        self._writer.write(data)
        with suppress(ConnectionError):  # the answer says why
            await self._writer.drain()

    async def head(self) -> tuple[dict[str, str], asyncio.StreamReader]:
        """The answer's head. Raises Closed, Honest, Dishonest."""
        reader, _ = await self.connect()
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            await self.close()
            raise Closed(f"{error}") from error
        first, *lines = raw.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if not first.startswith("HTTP/1.1 200 "):
            body = await self._all(fields, reader)
            if fields.get("connection") == "close":
                await self.close()
            if first.startswith("HTTP/1.1 503 ") and fields.get("x-floatgate-outcome") == "LOST":
                raise Honest("LOST")
            raise Dishonest(f"{first} {body[:200]!r}")
        return fields, reader

    async def json(self) -> dict[str, Any]:
        """A whole answer."""
        fields, reader = await self.head()
        doc: dict[str, Any] = json.loads(await self._all(fields, reader))
        return doc

    async def _all(self, fields: dict[str, str], reader: asyncio.StreamReader) -> bytes:
        return b"".join([piece async for piece in self.pieces(fields, reader)])

    async def pieces(self, fields: dict[str, str], reader: asyncio.StreamReader):  # type: ignore[no-untyped-def]
        """The body as it comes. Raises Cut."""
        try:
            if fields.get("transfer-encoding") == "chunked":
                while size := int(await reader.readuntil(b"\r\n"), 16):
                    yield await reader.readexactly(size)
                    await reader.readexactly(2)
                await reader.readexactly(2)
                return
            left = int(fields["content-length"])
            while left:
                data = await reader.read(min(left, 1 << 16))
                if not data:
                    raise Cut(f"{left} bytes are missing")
                left -= len(data)
                yield data
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Cut(f"{type(error).__name__}") from error


async def live(browser: Browser, one: Callable[[Browser, str], Awaitable[None]]) -> None:
    """Ask, and ask again, until the tide is over."""
    world, tally = browser.world, browser.world.tally
    try:
        for number in count():
            if world.tide.over:
                break
            name = f"{browser.kind}-{browser.name}-{number}"
            started = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    await one(browser, name)
                tally.done[browser.kind] += 1
                tally.progress[browser.name] += 1
                tally.took(started)
            except (Honest, Cut) as error:
                await _honest(browser, name, error)
            except (Closed, Dishonest, AssertionError, TimeoutError, OSError, ValueError) as error:
                tally.fail(f"{name}: {type(error).__name__}: {error}")
                await browser.close()
            await asyncio.sleep(THINK)
    finally:
        await browser.close()


async def _honest(browser: Browser, name: str, error: Exception) -> None:
    world = browser.world
    await browser.close()
    if not world.lossy:
        world.tally.fail(f"{name}: {type(error).__name__}: {error}")
        return
    world.tally.honest[type(error).__name__ if isinstance(error, Cut) else str(error)] += 1
    world.tally.unknown.add(name)


# What they do


async def get(browser: Browser, name: str) -> None:
    """A small answer."""
    await browser.say(f"GET /id/{name} HTTP/1.1")
    assert (await browser.json())["id"] == name


async def navigate(browser: Browser, name: str) -> None:
    """The same by the other path through the gateway."""
    await browser.say(f"GET /id/{name} HTTP/1.1\r\nKeep-Alive: 300")
    assert (await browser.json())["id"] == name


async def poll(browser: Browser, name: str) -> None:
    """An answer that takes longer than a drain waits for what may be asked again."""
    await browser.say(f"GET /poll/{name} HTTP/1.1")
    assert (await browser.json())["id"] == name


async def _send(browser: Browser, name: str, method: str, body: bytes) -> None:
    await browser.say(f"{method} /id/{name} HTTP/1.1\r\nContent-Length: {len(body)}", body)
    await _stored(browser, name, body)


async def _stored(browser: Browser, name: str, body: bytes) -> None:
    doc = await browser.json()
    assert doc["id"] == name and doc["sha"] == hashlib.sha256(body).hexdigest(), f"not what was sent: {doc}"


def number_of(name: str) -> int:
    """The same for the same name in every run."""
    return zlib.crc32(name.encode())


def _body(name: str, size: int) -> bytes:
    return b"".join(content(name, size))


async def post(browser: Browser, name: str) -> None:
    """A few bytes to some KiB, with a length or in chunks."""
    body = _body(name, number_of(name) % 20_000)
    if len(body) % 2:
        await _send(browser, name, "POST", body)
        return
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (body[:half], body[half:]) if one)
    await browser.say(f"POST /id/{name} HTTP/1.1\r\nTransfer-Encoding: chunked", chunks + b"0\r\n\r\n")
    await _stored(browser, name, body)


async def put(browser: Browser, name: str) -> None:
    """The same with PUT."""
    await _send(browser, name, "PUT", _body(name, number_of(name) % 20_000))


async def upload(browser: Browser, name: str) -> None:
    """Half of it before a move begins, half while it does: the gateway lets it finish."""
    world = browser.world
    body = _body(name, world.upload)
    half = len(body) // 2
    await world.tide.open()
    await browser.say(f"POST /id/{name} HTTP/1.1\r\nContent-Length: {len(body)}", body[:half])
    await browser.say_more(b"")
    async with _answer(browser, name, body) as answer:
        async with world.tide.middle():
            if not answer.done():
                await browser.say_more(body[half:])


@asynccontextmanager
async def _answer(browser: Browser, name: str, body: bytes) -> AsyncIterator[asyncio.Task[None]]:
    """Read it while the block sends: a browser sees an answer that comes before its request is complete."""
    task = asyncio.create_task(_stored(browser, name, body))
    try:
        yield task
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def download(browser: Browser, name: str) -> None:
    """The beginning of it read before a move begins, the rest while it does; buffers on the way take 8 MiB."""
    world = browser.world
    await world.tide.open()
    chunked = "&chunked" if number_of(name) % 2 else ""
    await browser.say(f"GET /download/{name}?size={world.download}{chunked} HTTP/1.1")
    fields, reader = await browser.head()
    blocks = next(content(name, 1 << 16)) * 2
    size, waited = 0, False
    async for data in browser.pieces(fields, reader):
        at = size % (1 << 16)
        assert data == blocks[at : at + len(data)], f"other bytes after {size}"
        size += len(data)
        if size >= world.download // 8 and not waited:
            waited = True
            async with world.tide.middle():
                pass
    assert size == world.download


KINDS: dict[str, tuple[int, Callable[[Browser, str], Awaitable[None]]]] = {
    "get": (50, get),
    "other-get": (20, navigate),
    "poll": (10, poll),
    "post": (60, post),
    "put": (48, put),
    "upload": (8, upload),
    "download": (4, download),
}
assert sum(number for number, _ in KINDS.values()) == 200
